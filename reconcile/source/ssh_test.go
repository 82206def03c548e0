package source_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/source"
)

func TestSSH(t *testing.T) {
	sshd, err := exec.LookPath("/usr/sbin/sshd")
	if err != nil || os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("sshd and root are needed: apt-get install openssh-server")
		}
		t.Skip("needs root and /usr/sbin/sshd (openssh-server)")
	}
	dir := t.TempDir()
	keygen := func(name string) string {
		file := filepath.Join(dir, name)
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v\n%s", err, out)
		}
		return file
	}
	host, client, stranger := keygen("host"), keygen("client"), keygen("stranger")
	public, err := os.ReadFile(client + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	authorized := filepath.Join(dir, "authorized_keys")
	if err := os.WriteFile(authorized, public, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr)
	l.Close()
	daemon := exec.Command(sshd, "-D", "-e", "-f", "/dev/null", "-p", fmt.Sprint(addr.Port), "-o", "ListenAddress=127.0.0.1",
		"-h", host, "-o", "AuthorizedKeysFile="+authorized, "-o", "StrictModes=no", "-o", "UsePAM=no", "-o", "PidFile=none")
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { daemon.Process.Kill(); daemon.Wait() })
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr.String()); err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("sshd does not listen")
		}
	}
	hostKey, err := os.ReadFile(host + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	known := filepath.Join(dir, "known_hosts")
	if err := os.WriteFile(known, fmt.Appendf(nil, "[127.0.0.1]:%d %s", addr.Port, hostKey), 0o600); err != nil {
		t.Fatal(err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	r := newRemote(t)
	url := fmt.Sprintf("ssh://%s@127.0.0.1:%d%s", me.Username, addr.Port, r.bare)
	good := source.Auth{SSHKey: client, KnownHosts: known}
	follow(t, r, source.Config{URL: url, Auth: good})

	t.Run("unknown key", func(t *testing.T) {
		s := open(t, source.Config{URL: url, Auth: source.Auth{SSHKey: stranger, KnownHosts: known}})
		if _, err := s.Fetch(t.Context()); err == nil || observed.ClassOf(err) != observed.Refused {
			t.Errorf("got %v, want it refused", err)
		}
	})
	t.Run("unknown host", func(t *testing.T) {
		other := filepath.Join(t.TempDir(), "known_hosts")
		otherKey, err := os.ReadFile(stranger + ".pub")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(other, fmt.Appendf(nil, "[127.0.0.1]:%d %s", addr.Port, otherKey), 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, source.Config{URL: url, Auth: source.Auth{SSHKey: client, KnownHosts: other}})
		_, err = s.Fetch(t.Context())
		if err == nil || observed.ClassOf(err) != observed.Refused || !strings.Contains(err.Error(), "knownhosts") {
			t.Errorf("got %v, want the host key refused", err)
		}
	})
}
