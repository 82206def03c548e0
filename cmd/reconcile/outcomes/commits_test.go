package outcomes

import (
	"fmt"
	"net"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"strings"
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
	server := w.hosted("")
	w.settle(fleet{})
	server.Close()
	w.kill("ant")
	w.pass(0, "warning: the accepted plan stays in force", server.URL, "connection refused", "check the network and `git ls-remote` as this user")
	w.is(outcome{state: "converged", serves: "1.0"})

	w.daemon()
	w.until("the daemon tells since when", enough, func() string {
		if s := w.all(); s.Source.Problem == nil || s.Source.Since.IsZero() {
			return "status has nothing to say of the repository"
		}
		return ""
	})
	w.verb(0, []string{"behind since ", "on the last accepted plan", server.URL, "connection refused"}, "status")
	w.kill("ant")
	w.until("repair", enough, func() string {
		if w.serving("ant") == 0 {
			return "nothing serves ant"
		}
		return ""
	})
	w.comes(outcome{state: "converged", serves: "1.0"})
	w.upgrade("1.1")
	w.hosted(server.Listener.Addr().String())
	w.until("upgrade", enough, func() string {
		if got, err := w.Ask(w.ctx, "ant.example.com", "/"); err != nil || !strings.Contains(got, "version=1.1 ") {
			return fmt.Sprint(got, err)
		}
		return ""
	})
	w.comes(outcome{state: "converged", serves: "1.1"})
	if s := w.all(); s.Source.Problem != nil {
		t.Errorf("the repository is back, and status says %v", s.Source.Problem)
	}
}

// hosted serves the plan repository over HTTP, as a forge does, and makes
// reconcile follow it there.
func (w *world) hosted(addr string) *httptest.Server {
	w.Helper()
	path, err := exec.LookPath("git")
	if err != nil {
		w.Fatal(err)
	}
	server := httptest.NewUnstartedServer(&cgi.Handler{Path: path, Args: []string{"http-backend"},
		Env: []string{"GIT_PROJECT_ROOT=" + w.Dir, "GIT_HTTP_EXPORT_ALL=1"}})
	if addr != "" {
		server.Listener.Close()
		if server.Listener, err = net.Listen("tcp", addr); err != nil {
			w.Fatal(err)
		}
	}
	server.Start()
	w.Cleanup(server.Close)
	w.configure("url: "+w.Repo+"\n", "url: "+server.URL+"/plans.git\n")
	return server
}
