package source

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// Auth says how to prove who we are, and whom we trust to be the remote. It
// names files; no secret stands in a configuration.
type Auth struct {
	SSHKey       string // private key file, for ssh
	SSHKeyPass   string // file with its passphrase, if it has one
	KnownHosts   string // known_hosts file, for ssh; "" is ~/.ssh/known_hosts
	Username     string // for https; "" with a password is "git"
	PasswordFile string // file with a password or token, for https
	CAFile       string // PEM of the authority to trust, for https

	ca []byte
}

// method returns the URL without any credentials and how to authenticate to it.
func (a *Auth) method(raw string) (string, transport.AuthMethod, error) {
	ep, err := transport.NewEndpoint(raw)
	if err != nil {
		return "", nil, refused("open repository", Redact(raw), err, "a repository is a path, https://…, ssh://… or user@host:path")
	}
	switch ep.Protocol {
	case "file":
		path, err := filepath.Abs(strings.TrimPrefix(raw, "file://"))
		if err != nil {
			return "", nil, refused("open repository", raw, err, "")
		}
		return path, nil, nil
	case "http", "https":
		return a.http(raw, ep.Protocol)
	case "ssh":
		m, err := a.ssh(raw, ep.User)
		return raw, m, err
	}
	return "", nil, refused("open repository", Redact(raw), fmt.Errorf("protocol %q is not supported", ep.Protocol), "use a path, https://… or ssh://…")
}

func (a *Auth) http(raw, scheme string) (string, transport.AuthMethod, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", nil, refused("open repository", Redact(raw), errors.New("not a URL"), "")
	}
	if _, has := u.User.Password(); has {
		return "", nil, refused("open repository", Redact(raw), errors.New("the URL holds a password, which would reach logs and process lists"), "put it into a file of mode 0600 and name that in repo.auth.passwordFile")
	}
	if scheme == "http" && !loopback(u.Hostname()) {
		return "", nil, refused("open repository", Redact(raw), errors.New("plain http lets anyone on the way change the plan"), "use https://… or ssh://…")
	}
	if a.CAFile != "" {
		if a.ca, err = os.ReadFile(a.CAFile); err != nil {
			return "", nil, refused("open repository", Redact(raw), err, "check repo.auth.caFile")
		}
	}
	if a.PasswordFile == "" {
		return raw, nil, nil
	}
	secret, err := readSecret(a.PasswordFile)
	if err != nil {
		return "", nil, refused("open repository", Redact(raw), err, "check repo.auth.passwordFile")
	}
	user := a.Username
	if user == "" {
		if user = u.User.Username(); user == "" {
			user = "git"
		}
	}
	u.User = nil
	return u.String(), &githttp.BasicAuth{Username: user, Password: secret}, nil
}

func (a *Auth) ssh(raw, user string) (transport.AuthMethod, error) {
	known := a.KnownHosts
	if known == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, refused("open repository", raw, err, "set repo.auth.knownHosts")
		}
		known = filepath.Join(home, ".ssh", "known_hosts")
	}
	check, err := knownhosts.New(known)
	if err != nil {
		return nil, refused("open repository", raw, err, "put the server's host key into a known_hosts file and name it in repo.auth.knownHosts")
	}
	if a.SSHKey == "" {
		return nil, refused("open repository", raw, errors.New("no ssh key is configured"), "name a deploy key's private file in repo.auth.sshKey")
	}
	pass := ""
	if a.SSHKeyPass != "" {
		if pass, err = readSecret(a.SSHKeyPass); err != nil {
			return nil, refused("open repository", raw, err, "check repo.auth.sshKeyPass")
		}
	}
	if user == "" {
		user = "git"
	}
	m, err := gitssh.NewPublicKeysFromFile(user, a.SSHKey, pass)
	if err != nil {
		return nil, refused("open repository", raw, fmt.Errorf("read key %s: %w", a.SSHKey, err), "it must be a private key this user may read; a passphrase goes into repo.auth.sshKeyPass")
	}
	m.HostKeyCallback = ssh.HostKeyCallback(check)
	return m, nil
}

func readSecret(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func isHostKey(err error) bool {
	var k *knownhosts.KeyError
	return errors.As(err, &k)
}

var userinfo = regexp.MustCompile(`(://[^/:@\s]*):[^/@\s]*@`)

// Redact removes a password that stands in a URL.
func Redact(s string) string { return userinfo.ReplaceAllString(s, "$1:…@") }
