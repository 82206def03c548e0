package proposal

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// workshop is a clone of a bare repository, on branch main.
type workshop struct {
	t   *testing.T
	dir string
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	for k, v := range map[string]string{"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "Ann Author",
		"GIT_AUTHOR_EMAIL": "ann@example.com", "GIT_COMMITTER_NAME": "Cem Committer", "GIT_COMMITTER_EMAIL": "cem@example.com"} {
		t.Setenv(k, v)
	}
	top := t.TempDir()
	w := &workshop{t, filepath.Join(top, "clone")}
	w.run(top, "git", "init", "-q", "--bare", "-b", "main", "plans.git")
	w.run(top, "git", "clone", "-q", "plans.git", "clone")
	w.git("checkout", "-q", "-b", "main")
	return w
}

func (w *workshop) run(dir string, args ...string) string {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), args[0], args[1:]...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (w *workshop) git(args ...string) string {
	w.t.Helper()
	return w.run(w.dir, append([]string{"git"}, args...)...)
}

func (w *workshop) write(file, text string) {
	w.t.Helper()
	path := filepath.Join(w.dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

func (w *workshop) read(file string) string {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.dir, file))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

// commit commits the files and pushes main.
func (w *workshop) commit(subject string, files map[string]string) string {
	w.t.Helper()
	for name, text := range files {
		w.write(name, text)
	}
	w.git("add", "-A")
	w.git("commit", "-q", "-m", subject)
	w.git("push", "-q", "origin", "HEAD:main")
	return w.git("rev-parse", "HEAD")
}

func (w *workshop) open(path string) *Clone {
	w.t.Helper()
	c, err := Open(Config{Dir: w.dir, Path: path, Branch: "main"})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *workshop) draft(c *Clone, branch string, changes ...Change) Draft {
	w.t.Helper()
	d, err := c.Draft(w.t.Context(), branch, changes, "subject\n\nbody\n")
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// A proposal is a commit on a branch of its own: what is staged, changed and
// untracked stays as it is.
func TestKeepTouchesNothingElse(t *testing.T) {
	w := newWorkshop(t)
	w.commit("begin", map[string]string{"a.yaml": "a\n", "plans/b.yaml": "b\n", "plans/c.yaml": "c\n"})
	w.git("checkout", "-q", "-b", "feature")
	w.write("a.yaml", "a, changed\n")
	w.write("staged.yaml", "staged\n")
	w.git("add", "staged.yaml")
	w.write("untracked.yaml", "untracked\n")
	before, head := w.git("status", "--porcelain"), w.git("rev-parse", "HEAD")

	c := w.open("plans")
	d := w.draft(c, "decision/x", Change{c.plan("decisions/x.yaml"), []byte("x\n")}, Change{"plans/b.yaml", nil}, Change{"a.yaml", []byte("A\n")})
	if out := w.git("branch", "--list", "decision/x"); out != "" {
		t.Fatal("a draft is on a branch before it is kept")
	}
	diff, err := c.Diff(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(diff, "+++ b/plans/decisions/x.yaml") || !strings.Contains(diff, "--- a/plans/b.yaml") {
		t.Errorf("diff:\n%s", diff)
	}
	if err := c.Keep(d); err != nil {
		t.Fatal(err)
	}
	if got := w.git("rev-parse", "decision/x"); got != d.Hash {
		t.Errorf("the branch is at %s, want %s", got, d.Hash)
	}
	if after := w.git("status", "--porcelain"); after != before || w.git("rev-parse", "HEAD") != head {
		t.Errorf("status:\n%s\nwant:\n%s", after, before)
	}
	if got := w.git("show", "--stat=80", "--format=%an %ae %cn %ce %s%n%b", "decision/x"); !strings.Contains(got, "Ann Author ann@example.com Cem Committer cem@example.com subject") {
		t.Errorf("commit:\n%s", got)
	}
	if got := w.git("ls-tree", "-r", "--name-only", "decision/x"); got != "a.yaml\nplans/c.yaml\nplans/decisions/x.yaml" {
		t.Errorf("tree:\n%s", got)
	}
	w.git("fsck", "--strict")
	if err := c.Push(t.Context(), "decision/x"); err != nil {
		t.Fatal(err)
	}
	if got := w.git("ls-remote", "origin", "refs/heads/decision/x"); !strings.HasPrefix(got, d.Hash) {
		t.Errorf("pushed: %s", got)
	}
}

// On the branch that is checked out the files follow, if they are as committed.
func TestKeepWhereTheBranchIsCheckedOut(t *testing.T) {
	w := newWorkshop(t)
	w.commit("begin", map[string]string{"a.yaml": "a\n", "gone.yaml": "gone\n"})
	w.write("own.yaml", "own\n")
	w.git("add", "own.yaml")
	c := w.open("")
	d := w.draft(c, "main", Change{"a.yaml", []byte("A\n")}, Change{"gone.yaml", nil}, Change{"new/n.yaml", []byte("n\n")})
	if err := c.Keep(d); err != nil {
		t.Fatal(err)
	}
	if got := w.git("status", "--porcelain"); got != "A  own.yaml" {
		t.Errorf("status: %q", got)
	}
	if w.read("a.yaml") != "A\n" || w.read("new/n.yaml") != "n\n" {
		t.Error("the files did not follow")
	}

	for name, spoil := range map[string]func(){
		"changed": func() { w.write("a.yaml", "mine\n") },
		"staged":  func() { w.write("a.yaml", "mine\n"); w.git("add", "a.yaml"); w.write("a.yaml", "A\n") },
	} {
		spoil()
		c = w.open("")
		head, before := w.git("rev-parse", "HEAD"), w.git("status", "--porcelain")
		err := c.Keep(w.draft(c, "main", Change{"a.yaml", []byte("B\n")}))
		if err == nil || !strings.Contains(err.Error(), "a.yaml has changes that are not committed") {
			t.Errorf("%s: %v", name, err)
		}
		if w.git("rev-parse", "HEAD") != head || w.git("status", "--porcelain") != before {
			t.Errorf("%s: something moved", name)
		}
		w.git("reset", "-q", "a.yaml")
		w.git("checkout", "-q", "a.yaml")
	}
}

func TestKeepRefusesABranchOfAnotherWorkTree(t *testing.T) {
	w := newWorkshop(t)
	w.commit("begin", map[string]string{"a.yaml": "a\n"})
	other := filepath.Join(filepath.Dir(w.dir), "other")
	w.git("worktree", "add", "-q", "-b", "elsewhere", other)
	c := w.open("")
	if err := c.Keep(w.draft(c, "elsewhere", Change{"a.yaml", []byte("A\n")})); err == nil || !strings.Contains(err.Error(), "checked out in "+other) {
		t.Errorf("got %v", err)
	}
	linked, err := Open(Config{Dir: other, Branch: "main"})
	if err != nil {
		t.Fatal(err)
	}
	if err := linked.Keep(w.draft(linked, "main", Change{"a.yaml", []byte("A\n")})); err == nil || !strings.Contains(err.Error(), "checked out in "+w.dir) {
		t.Errorf("got %v", err)
	}
	if err := linked.Keep(w.draft(linked, "elsewhere", Change{"a.yaml", []byte("A\n")})); err != nil {
		t.Error(err)
	}
}

// A branch that does not hold what the hosts follow would take it back.
func TestBaseHoldsWhatTheHostsFollow(t *testing.T) {
	w := newWorkshop(t)
	w.commit("begin", map[string]string{"a.yaml": "a\n"})
	w.git("branch", "old")
	w.commit("go on", map[string]string{"a.yaml": "b\n"})
	w.git("branch", "new")
	c := w.open("")
	if _, _, err := c.Base("old"); err == nil || !strings.Contains(err.Error(), "does not hold all of origin/main") {
		t.Errorf("old: %v", err)
	}
	if _, exists, err := c.Base("new"); err != nil || !exists {
		t.Errorf("new: %v, exists %v", err, exists)
	}
	if base, exists, err := c.Base("decision/x"); err != nil || exists || base != w.git("rev-parse", "origin/main") {
		t.Errorf("decision/x: %s %v %v", base, exists, err)
	}
	if _, _, err := c.Base("bad..name"); err == nil {
		t.Error("a bad name is taken")
	}
}

// Fetch sees what others pushed, and moves no branch of the person's.
func TestFetch(t *testing.T) {
	w := newWorkshop(t)
	first := w.commit("begin", map[string]string{"a.yaml": "a\n"})
	c := w.open("")
	other := filepath.Join(filepath.Dir(w.dir), "colleague")
	w.run(filepath.Dir(w.dir), "git", "clone", "-q", "plans.git", "colleague")
	w.run(other, "git", "commit", "-q", "--allow-empty", "-m", "theirs")
	w.run(other, "git", "push", "-q", "origin", "HEAD:main")
	if err := c.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if tip, from := c.Tip(); tip != w.run(other, "git", "rev-parse", "HEAD") || from != "origin/main" {
		t.Errorf("tip %s of %s", tip, from)
	}
	if w.git("rev-parse", "main") != first {
		t.Error("main was moved")
	}
}
