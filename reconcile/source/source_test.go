package source_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/source"
)

// remote is a bare repository with a work clone to write commits with.
type remote struct {
	t    *testing.T
	bare string
	work string
}

func newRemote(t *testing.T) *remote {
	t.Helper()
	dir := t.TempDir()
	r := &remote{t: t, bare: filepath.Join(dir, "plans.git"), work: filepath.Join(dir, "work")}
	git(t, dir, "init", "-q", "--bare", "-b", "main", r.bare)
	git(t, dir, "clone", "-q", r.bare, r.work)
	git(t, r.work, "checkout", "-q", "-b", "main")
	return r
}

// commit writes files (name → content), commits them as author and pushes.
func (r *remote) commit(author string, files map[string]string) string {
	r.t.Helper()
	for name, text := range files {
		file := filepath.Join(r.work, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			r.t.Fatal(err)
		}
	}
	git(r.t, r.work, "add", "-A")
	git(r.t, r.work, "-c", "user.name="+author, "-c", "user.email="+author+"@example.com", "commit", "-q", "-m", "by "+author)
	git(r.t, r.work, "push", "-q", "-f", "origin", "HEAD:main")
	return strings.TrimSpace(git(r.t, r.work, "rev-parse", "HEAD"))
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_ALLOW_PROTOCOL=file")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func open(t *testing.T, cfg source.Config) *source.Source {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "repo.git")
	}
	s, err := source.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// follow proves the whole conversation over one transport.
func follow(t *testing.T, r *remote, cfg source.Config) {
	first := r.commit("ann", map[string]string{"fleet/a.yaml": "a: 1\n", "fleet/deep/b.yaml": "b: 1\n", "README": "not the plan"})
	cfg.Path = "fleet"
	s := open(t, cfg)
	c, err := s.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c.Hash != first || c.Author != "ann" || c.Subject != "by ann" {
		t.Errorf("fetched %+v, want %s by ann", c, first)
	}
	tree, err := s.Tree(c.Hash)
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(tree, "a.yaml", "deep/b.yaml"); err != nil {
		t.Error(err)
	}
	if _, err := fs.Stat(tree, "README"); err == nil {
		t.Error("a file above the plan's folder is visible")
	}
	second := r.commit("bob", map[string]string{"fleet/a.yaml": "a: 2\n"})
	c, err = s.Fetch(t.Context())
	if err != nil || c.Hash != second {
		t.Fatalf("fetched %s, %v; want %s", c.Hash, err, second)
	}
	if err := s.Forward(first, second); err != nil {
		t.Errorf("a fast-forward is refused: %v", err)
	}
	next, err := s.Tree(second)
	if err != nil {
		t.Fatal(err)
	}
	if next.Hash("a.yaml") == tree.Hash("a.yaml") || next.Hash("deep/b.yaml") != tree.Hash("deep/b.yaml") {
		t.Error("blob hashes do not tell what changed")
	}
	if b, err := fs.ReadFile(next, "a.yaml"); err != nil || string(b) != "a: 2\n" {
		t.Errorf("a.yaml is %q, %v", b, err)
	}
	if who, err := s.LastAuthor(second, "deep/b.yaml"); err != nil || who.Author != "ann" {
		t.Errorf("deep/b.yaml is by %q, %v; want ann", who.Author, err)
	}
	if who, err := s.LastAuthor(second, "a.yaml"); err != nil || who.Author != "bob" {
		t.Errorf("a.yaml is by %q, %v; want bob", who.Author, err)
	}
}

func TestFile(t *testing.T) {
	r := newRemote(t)
	follow(t, r, source.Config{URL: r.bare})
}

func TestHTTPBackend(t *testing.T) {
	r := newRemote(t)
	core := strings.TrimSpace(git(t, r.work, "--exec-path"))
	srv := httptest.NewServer(&cgi.Handler{
		Path: filepath.Join(core, "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Dir(r.bare), "GIT_HTTP_EXPORT_ALL=1"},
	})
	defer srv.Close()
	follow(t, r, source.Config{URL: srv.URL + "/plans.git"})
}

func TestHistoryMovesForwardOnly(t *testing.T) {
	r := newRemote(t)
	first := r.commit("ann", map[string]string{"a.yaml": "a: 1\n"})
	second := r.commit("ann", map[string]string{"a.yaml": "a: 2\n"})
	dir := filepath.Join(t.TempDir(), "repo.git")
	s := open(t, source.Config{URL: r.bare, Dir: dir})
	if _, err := s.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Accept(second); err != nil {
		t.Fatal(err)
	}
	git(t, r.work, "reset", "-q", "--hard", first)
	rewritten := r.commit("eve", map[string]string{"a.yaml": "a: 3\n"})

	s = open(t, source.Config{URL: r.bare, Dir: dir})
	if s.Accepted() != second {
		t.Errorf("accepted is %q after opening again, want %s", s.Accepted(), second)
	}
	c, err := s.Fetch(t.Context())
	if err != nil || c.Hash != rewritten {
		t.Fatalf("fetched %s, %v; want %s", c.Hash, err, rewritten)
	}
	for _, next := range []string{rewritten, first} {
		err := s.Forward(second, next)
		if err == nil || observed.ClassOf(err) != observed.Refused {
			t.Errorf("going from %.10s to %.10s gives %v, want it refused", second, next, err)
		}
	}
	if _, err := s.Tree(second); err != nil {
		t.Errorf("the accepted plan is gone after a force-push: %v", err)
	}
	allowed := open(t, source.Config{URL: r.bare, Dir: dir, AllowRewind: true})
	if err := allowed.Forward(second, rewritten); err != nil {
		t.Errorf("refused though the host allows it: %v", err)
	}
	// A clone lost with the state directory cannot vouch for the past either.
	fresh := open(t, source.Config{URL: r.bare})
	if _, err := fresh.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := fresh.Forward(second, rewritten); err == nil {
		t.Error("a commit was accepted though the accepted one is unknown")
	}
}

func TestRemoteDown(t *testing.T) {
	r := newRemote(t)
	first := r.commit("ann", map[string]string{"a.yaml": "a: 1\n"})
	core := strings.TrimSpace(git(t, r.work, "--exec-path"))
	srv := httptest.NewServer(&cgi.Handler{
		Path: filepath.Join(core, "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Dir(r.bare), "GIT_HTTP_EXPORT_ALL=1"},
	})
	s := open(t, source.Config{URL: srv.URL + "/plans.git"})
	if _, err := s.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	srv.Close()
	if _, err := s.Fetch(t.Context()); observed.ClassOf(err) != observed.Environment {
		t.Errorf("remote down gives %v, want class environment", err)
	}
	tree, err := s.Tree(first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fs.ReadFile(tree, "a.yaml"); err != nil {
		t.Errorf("the last plan cannot be read without the remote: %v", err)
	}
}

func TestRefused(t *testing.T) {
	tests := []struct {
		name  string
		write func(t *testing.T, r *remote)
		cfg   source.Config
		want  string
	}{
		{name: "symlink", want: "link.yaml: it is a symbolic link", write: func(t *testing.T, r *remote) {
			if err := os.Symlink("/etc/passwd", filepath.Join(r.work, "link.yaml")); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "submodule", want: "sub: it is a submodule", write: func(t *testing.T, r *remote) {
			other := newRemote(t)
			other.commit("ann", map[string]string{"x": "y"})
			git(t, r.work, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", other.bare, "sub")
		}},
		{name: "large file", want: "big.bin: ", write: func(t *testing.T, r *remote) {
			if err := os.WriteFile(filepath.Join(r.work, "big.bin"), make([]byte, 5<<20), 0o644); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "no such folder", cfg: source.Config{Path: "plans"}, want: `no folder "plans"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRemote(t)
			if tt.write != nil {
				tt.write(t, r)
			}
			r.commit("ann", map[string]string{"a.yaml": "a: 1\n"})
			tt.cfg.URL = r.bare
			s := open(t, tt.cfg)
			c, err := s.Fetch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Tree(c.Hash)
			if err == nil || !strings.Contains(err.Error(), tt.want) || observed.ClassOf(err) != observed.Refused {
				t.Errorf("got %v, want it refused with %q", err, tt.want)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	known := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(known, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		cfg  source.Config
		want string
	}{
		{"none", source.Config{}, "no repository is configured"},
		{"password in the URL", source.Config{URL: "https://bob:hunter2@example.com/p.git"}, "holds a password"},
		{"plain http", source.Config{URL: "http://example.com/p.git"}, "plain http"},
		{"git protocol", source.Config{URL: "git://example.com/p.git"}, "not supported"},
		{"no known_hosts", source.Config{URL: "git@example.com:p.git", Auth: source.Auth{KnownHosts: known + ".absent"}}, "known_hosts"},
		{"no key", source.Config{URL: "git@example.com:p.git", Auth: source.Auth{KnownHosts: known}}, "no ssh key"},
		{"no password file", source.Config{URL: "https://example.com/p.git", Auth: source.Auth{PasswordFile: "/absent"}}, "/absent"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Dir = filepath.Join(t.TempDir(), "repo.git")
			_, err := source.Open(tt.cfg)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if strings.Contains(fmt.Sprintf("%v %+v", err, err), "hunter2") {
				t.Errorf("the password is in the error: %v", err)
			}
		})
	}
}

func TestBranchMissing(t *testing.T) {
	r := newRemote(t)
	r.commit("ann", map[string]string{"a.yaml": "a: 1\n"})
	s := open(t, source.Config{URL: r.bare, Branch: "prod"})
	_, err := s.Fetch(t.Context())
	if err == nil || !strings.Contains(err.Error(), `no branch "prod"`) || !strings.Contains(err.Error(), "main") {
		t.Errorf("got %v, want the missing and the present branches named", err)
	}
}

func TestUnreadableCloneIsBegunAgain(t *testing.T) {
	r := newRemote(t)
	first := r.commit("ann", map[string]string{"a.yaml": "a: 1\n"})
	dir := filepath.Join(t.TempDir(), "repo.git")
	s := open(t, source.Config{URL: r.bare, Dir: dir})
	if _, err := s.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte("[core\x00"), 0o644); err != nil {
		t.Fatal(err)
	}
	s = open(t, source.Config{URL: r.bare, Dir: dir})
	if c, err := s.Fetch(t.Context()); err != nil || c.Hash != first {
		t.Errorf("got %v, %v after the clone was damaged; want %s", c.Hash, err, first)
	}
}

// accepted is a remote, a clone of it, and the commit that was accepted there.
func accepted(t *testing.T) (r *remote, dir, commit string) {
	t.Helper()
	r = newRemote(t)
	commit = r.commit("ann", map[string]string{"a.yaml": "a: 1\n"})
	dir = filepath.Join(t.TempDir(), "repo.git")
	s := open(t, source.Config{URL: r.bare, Dir: dir})
	if _, err := s.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Accept(commit); err != nil {
		t.Fatal(err)
	}
	return r, dir, commit
}

// A power cut leaves what it likes of a clone: references without their objects,
// references without content, a fetch that was not ended, and over the years a
// clone of many packs. The next fetch makes it good, what was accepted is known
// as before, and nothing is left over.
func TestWornCloneIsMadeAnew(t *testing.T) {
	packs := func(t *testing.T, dir string) []string {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(dir, "objects", "pack", "pack-*"))
		if err != nil || len(found) == 0 {
			t.Fatal(found, err)
		}
		return found
	}
	for name, wear := range map[string]func(t *testing.T, dir string){
		"objects lost": func(t *testing.T, dir string) {
			for _, p := range packs(t, dir) {
				if err := os.Remove(p); err != nil {
					t.Fatal(err)
				}
			}
		},
		"objects torn": func(t *testing.T, dir string) {
			for _, p := range packs(t, dir) {
				if err := errors.Join(os.Chmod(p, 0o600), os.Truncate(p, 0)); err != nil {
					t.Fatal(err)
				}
			}
		},
		"references torn": func(t *testing.T, dir string) {
			for _, ref := range []string{"refs/reconcile/fetched", "refs/reconcile/accepted"} {
				if err := os.Truncate(filepath.Join(dir, ref), 0); err != nil {
					t.Fatal(err)
				}
			}
		},
		"fetch cut off": func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "reconcile-fetching"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"many packs": func(t *testing.T, dir string) {
			for n := range 201 {
				if err := os.WriteFile(filepath.Join(dir, "objects", "pack", fmt.Sprintf("pack-%040x.pack", n)), nil, 0o400); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, dir, first := accepted(t)
			wear(t, dir)
			if name == "many packs" {
				r.commit("ann", map[string]string{"a.yaml": "a: 2\n"})
			}
			s := open(t, source.Config{URL: r.bare, Dir: dir})
			c, err := s.Fetch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			tree, err := s.Tree(c.Hash)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := tree.ReadFile("a.yaml"); err != nil || !strings.HasPrefix(string(text), "a: ") {
				t.Errorf("the commit's file reads %q, %v", text, err)
			}
			if accepted := s.Accepted(); accepted != first && name != "references torn" {
				t.Errorf("accepted is %q, was %s", accepted, first)
			}
			if err := s.Forward(first, c.Hash); err != nil {
				t.Error(err)
			}
			beside, err := os.ReadDir(filepath.Dir(dir))
			if err != nil || len(beside) != 1 || len(packs(t, dir)) > 4 {
				t.Errorf("left over: %v, %d packs, %v", beside, len(packs(t, dir)), err)
			}
			if c2, err := s.Fetch(t.Context()); err != nil || c2 != c {
				t.Errorf("the next fetch: %v, %v", c2, err)
			}
		})
	}
}

// A fetch that was cut off costs nothing of what was accepted before it, while
// the remote is down.
func TestCutOffWhileRemoteIsDown(t *testing.T) {
	r, dir, first := accepted(t)
	if err := os.WriteFile(filepath.Join(dir, "reconcile-fetching"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(r.bare, r.bare+".away"); err != nil {
		t.Fatal(err)
	}
	s := open(t, source.Config{URL: r.bare, Dir: dir})
	if _, err := s.Fetch(t.Context()); err == nil {
		t.Fatal("it was fetched from nowhere")
	}
	if _, err := s.Tree(s.Accepted()); err != nil || s.Accepted() != first {
		t.Errorf("what was accepted is %q and reads: %v", s.Accepted(), err)
	}
}

// A pass begun by hand fetches into the clone of a daemon, which goes on with it
// also where the other made it anew.
func TestTwoFollowOneClone(t *testing.T) {
	r := newRemote(t)
	r.commit("ann", map[string]string{"a.yaml": "a: 1\n"})
	dir := filepath.Join(t.TempDir(), "repo.git")
	daemon, pass := open(t, source.Config{URL: r.bare, Dir: dir}), open(t, source.Config{URL: r.bare, Dir: dir})
	for n := range 5 {
		want := r.commit("ann", map[string]string{"a.yaml": fmt.Sprintf("a: 2%d\n", n)})
		if n == 2 {
			if err := os.WriteFile(filepath.Join(dir, "reconcile-fetching"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var both sync.WaitGroup
		for _, s := range []*source.Source{daemon, pass} {
			both.Go(func() {
				c, err := s.Fetch(t.Context())
				if err == nil && c.Hash == want {
					_, err = s.Tree(c.Hash)
				}
				if err == nil {
					err = s.Accept(c.Hash)
				}
				if err != nil || c.Hash != want {
					t.Errorf("commit %d: %v, %v; want %s", n, c.Hash, err, want)
				}
			})
		}
		both.Wait()
		if daemon.Accepted() != want {
			t.Errorf("accepted is %s, want %s", daemon.Accepted(), want)
		}
	}
}
