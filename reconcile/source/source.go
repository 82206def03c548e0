// Package source follows one branch of a plan repository: it asks the remote for
// its head, fetches when that moved, judges whether history went forward, and
// opens a commit as an fs.FS straight from the object store. There is no work
// tree; nothing of a commit is ever written to the host's disk as a file.
package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Config says which branch of which repository to follow, and where to keep it.
type Config struct {
	URL    string // file path, file://, https://, http:// (loopback only), ssh:// or user@host:path
	Branch string // "" is main
	Path   string // folder of the plan inside the repository, "" is its root
	Dir    string // the bare clone; made if absent
	Auth   Auth
	// AllowRewind accepts a head that does not descend from the accepted
	// commit. It belongs to the host's configuration, never to a plan.
	AllowRewind bool
	// Timeout bounds one conversation with the remote; 0 is 2 minutes.
	Timeout time.Duration
}

const (
	defaultBranch  = "main"
	defaultTimeout = 2 * time.Minute
	remoteName     = "origin"
	fetchedRef     = plumbing.ReferenceName("refs/reconcile/fetched")
	acceptedRef    = plumbing.ReferenceName("refs/reconcile/accepted")
)

// hintDir is what to do where the clone cannot be written.
const hintDir = "check the state directory's owner and mode, and the space left"

// Commit is one commit of the plan repository.
type Commit struct {
	Hash    string    `json:"hash"`
	Author  string    `json:"author"`
	Email   string    `json:"email"`
	When    time.Time `json:"when"`
	Subject string    `json:"subject"`
}

// Short is the hash as people write it.
func (c Commit) Short() string {
	if len(c.Hash) > 10 {
		return c.Hash[:10]
	}
	return c.Hash
}

// Source is an open bare clone. Its methods are not safe for concurrent use.
type Source struct {
	cfg  Config
	repo *git.Repository
	auth transport.AuthMethod
	// place is the folder that repo was opened in; see current.
	place os.FileInfo
}

// Open opens the bare clone, making it if it is not there. It does not talk to
// the remote. A clone that cannot be read is moved aside and begun again: all it
// holds can be fetched, and what was accepted is also in the journal.
func Open(cfg Config) (*Source, error) {
	if cfg.URL == "" {
		return nil, refused("open repository", "", errors.New("no repository is configured"), "give --repo URL, RECONCILE_REPO or repo.url in the configuration; or --plans DIR for a working tree")
	}
	if cfg.Branch == "" {
		cfg.Branch = defaultBranch
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	cfg.Path = strings.Trim(filepath.ToSlash(filepath.Clean("/"+cfg.Path)), "/")
	url, auth, err := cfg.Auth.method(cfg.URL)
	if err != nil {
		return nil, err
	}
	cfg.URL = url
	repo, err := open(cfg.Dir)
	if err != nil {
		return nil, refused("open repository", cfg.Dir, err, hintDir)
	}
	if err := setRemote(repo, cfg); err != nil {
		return nil, refused("open repository", cfg.Dir, err, "remove "+cfg.Dir+" to fetch it again")
	}
	s := &Source{cfg: cfg, repo: repo, auth: auth}
	if s.place, err = os.Stat(cfg.Dir); err != nil {
		return nil, refused("open repository", cfg.Dir, err, hintDir)
	}
	return s, nil
}

// Head asks the remote where the branch is. It costs one round trip and fetches
// nothing.
func (s *Source) Head(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	remote, err := s.repo.Remote(remoteName)
	if err != nil {
		return "", refused("ask remote", s.name(), err, "")
	}
	refs, err := remote.ListContext(ctx, &git.ListOptions{Auth: s.auth, CABundle: s.cfg.Auth.ca})
	if err != nil {
		return "", s.remoteProblem("ask remote", err)
	}
	var branches []string
	for _, ref := range refs {
		if ref.Name() == plumbing.NewBranchReferenceName(s.cfg.Branch) {
			return ref.Hash().String(), nil
		}
		if ref.Name().IsBranch() {
			branches = append(branches, ref.Name().Short())
		}
	}
	return "", refused("ask remote", s.name(), fmt.Errorf("there is no branch %q (there are: %s)", s.cfg.Branch, strings.Join(branches, ", ")), "set --branch or repo.branch, or push the branch")
}

// Fetch returns the head of the branch, fetching it if it is not here yet. An
// error of class Environment means that the remote could not be asked; the
// accepted commit is still here.
func (s *Source) Fetch(ctx context.Context) (Commit, error) {
	head, err := s.Head(ctx)
	if err != nil {
		return Commit{}, err
	}
	if !s.whole(head) {
		ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
		defer cancel()
		err := alone(ctx, s.cfg.Dir, func() (err error) {
			head, err = s.bring(ctx)
			return err
		})
		if err != nil {
			return Commit{}, err
		}
	}
	return s.Commit(head)
}

// bring fetches the branch and returns its head, which may have moved again since
// somebody asked. A clone that a fetch was cut off in, or that does not hold what
// it was just given, is made anew.
func (s *Source) bring(ctx context.Context) (string, error) {
	if err := s.current(); err != nil {
		return "", s.diskProblem(err)
	}
	worn, err := worn(s.cfg.Dir)
	if err != nil {
		return "", s.diskProblem(err)
	}
	if worn {
		return s.renew(ctx)
	}
	before, err := begin(s.cfg.Dir)
	if err != nil {
		return "", s.diskProblem(err)
	}
	failed := s.pull(ctx, s.repo)
	if err := end(s.cfg.Dir, before); err != nil {
		return "", s.diskProblem(err)
	}
	if failed != nil {
		return "", s.remoteProblem("fetch", failed)
	}
	if head, ok := tip(s.repo); ok {
		return head, nil
	}
	return s.renew(ctx)
}

// current opens the clone again if another process has made it anew since.
func (s *Source) current() error {
	now, err := os.Stat(s.cfg.Dir)
	if err != nil {
		return err
	}
	if os.SameFile(s.place, now) {
		return nil
	}
	repo, err := openBare(s.cfg.Dir)
	if err != nil {
		return err
	}
	s.repo, s.place = repo, now
	return nil
}

// pull has the remote give what repo lacks of the branch.
func (s *Source) pull(ctx context.Context, repo *git.Repository) error {
	err := repo.FetchContext(ctx, &git.FetchOptions{
		RemoteName: remoteName,
		RefSpecs:   []config.RefSpec{config.RefSpec("+refs/heads/" + s.cfg.Branch + ":" + string(fetchedRef))},
		Auth:       s.auth,
		CABundle:   s.cfg.Auth.ca,
		Tags:       git.NoTags,
	})
	if errors.Is(err, git.NoErrAlreadyUpToDate) {
		return nil
	}
	return err
}

// renew makes the clone anew, aside, and puts it in the place of the one that is
// there. While the remote is down the old one
// stays: what was accepted may well be readable in it.
func (s *Source) renew(ctx context.Context) (string, error) {
	repo, err := initAside(s.cfg.Dir)
	if err == nil {
		err = setRemote(repo, s.cfg)
	}
	if err != nil {
		return "", s.diskProblem(err)
	}
	if err := s.pull(ctx, repo); err != nil {
		return "", s.remoteProblem("fetch", err)
	}
	head, ok := tip(repo)
	if !ok {
		return "", refused("fetch", s.name(), errors.New("what the remote gave cannot be read"), "look at the repository with `git fsck`")
	}
	if accepted := s.Accepted(); accepted != "" {
		if _, err := repo.CommitObject(plumbing.NewHash(accepted)); err == nil {
			err = repo.Storer.SetReference(plumbing.NewHashReference(acceptedRef, plumbing.NewHash(accepted)))
			if err != nil {
				return "", s.diskProblem(err)
			}
		}
	}
	if _, err := takePlace(s.cfg.Dir); err != nil {
		return "", s.diskProblem(err)
	}
	if err := s.current(); err != nil {
		return "", s.diskProblem(err)
	}
	if err := os.RemoveAll(s.cfg.Dir + unreadable); err != nil {
		return "", s.diskProblem(err)
	}
	return head, nil
}

// whole says whether a commit was the end of a finished fetch: an interrupted
// one may leave a commit object without its history.
func (s *Source) whole(head string) bool {
	if cut, err := cutOff(s.cfg.Dir); cut || err != nil {
		return false
	}
	if _, err := s.repo.CommitObject(plumbing.NewHash(head)); err != nil {
		return false
	}
	for _, name := range []plumbing.ReferenceName{fetchedRef, acceptedRef} {
		if ref, err := s.repo.Reference(name, true); err == nil && ref.Hash().String() == head {
			return true
		}
	}
	return false
}

// Commit describes a commit that is here.
func (s *Source) Commit(hash string) (Commit, error) {
	c, err := s.repo.CommitObject(plumbing.NewHash(hash))
	if err != nil {
		return Commit{}, refused("read commit", hash, err, "run `reconcile` with the remote reachable to fetch it again")
	}
	return describe(c), nil
}

func describe(c *object.Commit) Commit {
	subject, _, _ := strings.Cut(strings.TrimSpace(c.Message), "\n")
	return Commit{Hash: c.Hash.String(), Author: c.Author.Name, Email: c.Author.Email, When: c.Author.When.UTC(), Subject: subject}
}

// Forward judges whether next may follow accepted: it must descend from it.
// accepted "" accepts anything. A *observed.Problem of class Refused says why not.
func (s *Source) Forward(accepted, next string) error {
	if accepted == "" || accepted == next || s.cfg.AllowRewind {
		return nil
	}
	hint := "restore the branch, or set repo.allowRewind in this host's configuration for one pass if the rewrite is meant"
	old, err := s.repo.CommitObject(plumbing.NewHash(accepted))
	if err != nil {
		return refused("accept commit", next, fmt.Errorf("history was rewritten: the accepted commit %.10s is no longer part of branch %s", accepted, s.cfg.Branch), hint)
	}
	head, err := s.repo.CommitObject(plumbing.NewHash(next))
	if err != nil {
		return refused("accept commit", next, err, "")
	}
	ok, err := old.IsAncestor(head)
	if err != nil {
		return refused("accept commit", next, err, "remove "+s.cfg.Dir+" to fetch it again")
	}
	if !ok {
		return refused("accept commit", next, fmt.Errorf("it does not descend from the accepted commit %.10s: history moves forward only", accepted), hint)
	}
	return nil
}

// Accept remembers the commit as the accepted one, beside the journal's record.
func (s *Source) Accept(hash string) error {
	return alone(context.Background(), s.cfg.Dir, func() error {
		if err := s.current(); err != nil {
			return err
		}
		if err := s.repo.Storer.SetReference(plumbing.NewHashReference(acceptedRef, plumbing.NewHash(hash))); err != nil {
			return err
		}
		return syncFile(filepath.Join(s.cfg.Dir, filepath.FromSlash(string(acceptedRef))))
	})
}

// Accepted returns the commit last accepted here, "" if none was.
func (s *Source) Accepted() string {
	ref, err := s.repo.Reference(acceptedRef, true)
	if err != nil {
		return ""
	}
	return ref.Hash().String()
}

// LastAuthor returns the newest commit at or before hash that touched the file,
// a path below the plan's folder: the person to ask about it.
func (s *Source) LastAuthor(hash, file string) (Commit, error) {
	name := file
	if s.cfg.Path != "" {
		name = s.cfg.Path + "/" + file
	}
	log, err := s.repo.Log(&git.LogOptions{From: plumbing.NewHash(hash), FileName: &name})
	if err != nil {
		return Commit{}, fmt.Errorf("log of %s: %w", name, err)
	}
	defer log.Close()
	c, err := log.Next()
	if err != nil {
		return Commit{}, fmt.Errorf("log of %s: %w", name, err)
	}
	return describe(c), nil
}

func (s *Source) name() string { return Redact(s.cfg.URL) + " " + s.cfg.Branch }

// remoteProblem sorts what a remote says: unreachable is the environment's
// fault, a denied or absent repository is an answer.
func (s *Source) remoteProblem(op string, err error) error {
	class, hint := observed.Environment, "the last accepted plan stays in force; check the network and `git ls-remote` as this user"
	switch {
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed), errors.Is(err, transport.ErrInvalidAuthMethod),
		strings.Contains(err.Error(), "ssh: unable to authenticate"): // x/crypto/ssh has no type for it
		class, hint = observed.Refused, "check repo.auth in the configuration: key, user or password file"
	case errors.Is(err, transport.ErrRepositoryNotFound):
		class, hint = observed.Refused, "check repo.url, and that this user may read it"
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		class, hint = observed.Refused, "push a first commit to the repository"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		hint = "free some space on the disk that holds " + s.cfg.Dir
	case isHostKey(err):
		class, hint = observed.Refused, "put the server's host key into the known_hosts file (repo.auth.knownHosts), after checking it"
	}
	return observed.Wrap(op, s.name(), class, errors.New(Redact(err.Error())), hint)
}

// diskProblem sorts what went wrong with the clone: a full disk is the
// environment's fault.
func (s *Source) diskProblem(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return observed.Wrap("fetch", s.name(), observed.Environment, err, "free some space on the disk that holds "+s.cfg.Dir)
	}
	return refused("fetch", s.name(), err, hintDir)
}

func refused(op, ref string, err error, hint string) error {
	return observed.Wrap(op, ref, observed.Refused, err, hint)
}
