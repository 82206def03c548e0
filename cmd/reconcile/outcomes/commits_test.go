package outcomes

import (
	"os"
	"testing"
)

// A commit with one bad file is refused whole: file, place and author are
// named, the accepted plan stays in force and is repaired, and the next good
// commit goes on.
func badCommit(t *testing.T) {
	w := newWorld(t, process, nil)
	w.settle(fleet{tenants: []string{"ant", "bee"}})
	image := w.fleet.image
	w.fleet.image = w.image("1.1")
	files := map[string]string{"app.yaml": w.fleet.template(), "bee.yaml": tenant("bee", "rotues: {}")}
	w.commit("an upgrade and a slip of the pen", files)
	w.kill("ant")
	w.pass(1, "is refused", "bee.yaml:4:", "rotues", "routes", "Ann Author <ann@example.com>", "the accepted plan stays in force")
	w.is(outcome{state: "converged", serves: "1.0"}) // repaired
	w.answers("bee", "1.0")
	_ = image
	w.verb(1, []string{"bee.yaml:4:", "Ann Author"}, "--dry-run")
	w.commit("the slip is mended", map[string]string{"bee.yaml": tenant("bee", "")})
	w.pass(0)
	w.answers("ant", "1.1")
	w.answers("bee", "1.1")
}

// History moves forward only.
func rewritten(t *testing.T) {
	w := newWorld(t, process, nil)
	w.settle(fleet{})
	w.upgrade("1.1")
	w.pass(0)
	w.git("reset", "-q", "--hard", "HEAD~1")
	w.git("-c", "user.name=Eve", "-c", "user.email=eve@example.com", "commit", "-q", "--allow-empty", "-m", "another history")
	w.git("push", "-q", "--force", "origin", "HEAD:main")
	w.pass(1, "does not descend from", "allowRewind", "the accepted plan stays in force")
	w.is(outcome{state: "converged", serves: "1.1"})
}

// While the repository cannot be reached the last accepted plan is kept up, and
// everybody is told since when.
func remoteDown(t *testing.T) {
	w := newWorld(t, process, nil)
	w.settle(fleet{})
	away := w.Repo + ".away"
	if err := os.Rename(w.Repo, away); err != nil {
		t.Fatal(err)
	}
	w.kill("ant")
	w.pass(0, "warning: the accepted plan stays in force", w.Repo)
	w.is(outcome{state: "converged", serves: "1.0"})

	w.daemon()
	w.until("the daemon tells since when", enough, func() string {
		if s := w.all(); s.Source.Problem == nil || s.Source.Since.IsZero() {
			return "status has nothing to say of the repository"
		}
		return ""
	})
	w.verb(0, []string{"behind: ", w.Repo, "since "}, "status")
	w.kill("ant")
	w.until("repair", enough, func() string {
		if w.serving("ant") == 0 {
			return "nothing serves ant"
		}
		return ""
	})
	w.comes(outcome{state: "converged", serves: "1.0"})
	if err := os.Rename(away, w.Repo); err != nil {
		t.Fatal(err)
	}
	w.upgrade("1.1")
	w.until("the newest plan is in force", enough, func() string {
		if s := w.all(); s.Source.Problem != nil {
			return s.Source.Problem.Error()
		}
		return ""
	})
	w.comes(outcome{state: "converged"})
	w.until("upgrade", enough, func() string {
		if got, err := w.Ask(w.ctx, "ant.example.com", "/"); err != nil || len(got) < 11 || got[:11] != "version=1.1" {
			return got
		}
		return ""
	})
}
