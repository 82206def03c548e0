package outcomes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/caddy/wire"
	"github.com/gitops-fleet/reconcile/drivers/docker"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/images"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/stage"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/workshop"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// The runtimes rows are played on.
const (
	process = workshop.Process
	engine  = workshop.Docker
)

// world is one host under test.
type world struct {
	*stage.Stage
	testing.TB
	ctx   context.Context
	fleet fleet
	// host is the stage with the proxy, where that is another one's, and
	// elsewhere says that reconcile sees a /run of its own.
	host      *stage.Stage
	elsewhere bool
}

// enough bounds how long an outcome may take to come.
const enough = 30 * time.Second

var worlds atomic.Int32

// newWorld sets the stage for a row; change may alter it before it is set.
func newWorld(t *testing.T, runtime string, change func(*stage.Config)) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	s := shop.Stage(t, runtime, change)
	// Rows at the same time share the engine: the fleet's name is in its names.
	return &world{Stage: s, TB: t, ctx: ctx, host: s, fleet: fleet{name: fmt.Sprint("outcomes", worlds.Add(1))}}
}

// image pushes a version of the test application.
func (w *world) image(version string) string {
	w.Helper()
	return w.made(version, images.Spec{})
}

// made pushes a version of the test application that is special.
func (w *world) made(version string, s images.Spec) string {
	w.Helper()
	s.Binary = w.Serve
	if s.Env == nil {
		s.Env = map[string]string{}
	}
	s.Env["VERSION"] = version
	ref, err := w.Registry.Push(w.ctx, "hello", version, s)
	if err != nil {
		w.Fatal(err)
	}
	return ref
}

// configure changes the host's configuration.
func (w *world) configure(old, fresh string) {
	w.Helper()
	text, err := os.ReadFile(w.File)
	if err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(w.File, []byte(strings.Replace(string(text), old, fresh, 1)), 0o600); err != nil {
		w.Fatal(err)
	}
}

// of completes a plan: the name of the fleet, version 1.0 of the test
// application, and one tenant.
func (w *world) of(f fleet) fleet {
	w.Helper()
	f.name = w.fleet.name
	if f.image == "" {
		f.image = w.image("1.0")
	}
	if f.tenants == nil {
		f.tenants = []string{"ant"}
	}
	return f
}

// settle deploys tenants on version 1.0 of the test application.
func (w *world) settle(f fleet) {
	w.Helper()
	w.fleet = w.of(f)
	w.commit("tenants on 1.0", w.fleet.files())
	w.pass(0)
	for _, t := range w.fleet.tenants {
		w.answers(t, "1.0")
	}
}

// upgrade commits another version of the template.
func (w *world) upgrade(version string) {
	w.Helper()
	w.fleet.image = w.image(version)
	w.template("upgrade to " + version)
}

// template commits the template as it is now.
func (w *world) template(message string) {
	w.Helper()
	w.commit(message, map[string]string{"app.yaml": w.fleet.template()})
}

// commit commits plans; an empty text removes a file.
func (w *world) commit(message string, files map[string]string) {
	w.Helper()
	if _, err := w.Commit(w.ctx, message, files); err != nil {
		w.Fatal(err)
	}
}

// verb runs reconcile and wants its exit status, and what it prints to say
// certain things.
func (w *world) verb(exit int, says []string, args ...string) stage.Result {
	w.Helper()
	r := w.run(args...)
	w.check("reconcile "+strings.Join(args, " "), r, exit, says)
	return r
}

// pass makes one pass.
func (w *world) pass(exit int, says ...string) stage.Result {
	w.Helper()
	return w.verb(exit, says)
}

func (w *world) check(what string, r stage.Result, exit int, says []string) {
	w.Helper()
	if r.Exit != exit {
		w.Fatalf("%s ended with status %d, not %d\n%s%s", what, r.Exit, exit, r.Stdout, r.Stderr)
	}
	for _, s := range says {
		if !strings.Contains(r.Stdout+r.Stderr, s) {
			w.Errorf("%s does not say %q:\n%s%s", what, s, r.Stdout, r.Stderr)
		}
	}
}

// outcome is how a tenant shall be.
type outcome struct {
	tenant        string // "" is ant
	state, reason string
	serves        string   // version that answers through the proxy; "" is none
	says          []string // in why, next, question or problem
}

// is wants a tenant to be so, now.
func (w *world) is(o outcome) agent.TenantStatus {
	w.Helper()
	got := w.status(o.tenant)
	if wrong := o.differs(got); wrong != "" {
		w.Errorf("%s: %s", got.Name, wrong)
	}
	if o.serves != "" {
		w.answers(got.Name, o.serves)
	}
	return got
}

// comes wants a tenant to come to be so.
func (w *world) comes(o outcome) agent.TenantStatus {
	w.Helper()
	var got agent.TenantStatus
	w.until(fmt.Sprint("outcome ", o), enough, func() string {
		got = w.status(o.tenant)
		return o.differs(got)
	})
	if o.serves != "" {
		w.answers(got.Name, o.serves)
	}
	return got
}

// differs says what is otherwise.
func (o outcome) differs(got agent.TenantStatus) string {
	said := got.Why + "\n" + got.Next
	if q := got.Question; q != nil {
		said += "\n" + q.Text
		for answer, does := range q.Answers {
			said += "\n" + answer + ": " + does
		}
	}
	if p := got.Problem; p != nil {
		said += "\n" + p.Error() + "\n" + p.Hint
	}
	if string(got.State) != o.state || got.Reason != o.reason {
		return fmt.Sprintf("it is %s %s, not %s %s; it says:\n%s", got.State, got.Reason, o.state, o.reason, said)
	}
	for _, s := range o.says {
		if !strings.Contains(said, s) {
			return fmt.Sprintf("it does not say %q, but:\n%s", s, said)
		}
	}
	return ""
}

// status is one tenant's, as reconcile tells it.
func (w *world) status(tenant string) agent.TenantStatus {
	w.Helper()
	tenant = or(tenant, "ant")
	s := w.all()
	i := slices.IndexFunc(s.Tenants, func(t agent.TenantStatus) bool { return t.Name == tenant })
	if i < 0 {
		return agent.TenantStatus{Name: tenant, State: "absent"}
	}
	return s.Tenants[i]
}

// all is the whole status.
func (w *world) all() agent.Status {
	w.Helper()
	r, err := w.Run(w.ctx, "status", "-o", "json")
	if err != nil {
		w.Fatal(err)
	}
	var s agent.Status
	if err := json.Unmarshal([]byte(r.Stdout), &s); err != nil {
		w.Fatalf("status: %v\n%s%s", err, r.Stdout, r.Stderr)
	}
	return s
}

// daemon starts `reconcile run`; it is stopped with the row at the latest.
func (w *world) daemon() *stage.Daemon {
	w.Helper()
	d, err := w.Daemon(w.ctx)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if err := d.Stop(); err != nil {
			w.Error(err)
		}
		if w.Failed() {
			w.Logf("the daemon's log ends:\n%s", d.Log())
		}
	})
	return d
}

// answers wants a tenant's host name to be answered by that tenant in a version.
func (w *world) answers(tenant, version string) {
	w.Helper()
	got, err := w.Ask(w.ctx, tenant+".example.com", "/")
	if err != nil {
		w.Fatal(err)
	}
	if !strings.Contains(got, "version="+version+" ") || !strings.Contains(got, "tenant="+tenant+" ") {
		w.Fatalf("%s is answered by %q, not by version %s of it", tenant, strings.TrimSpace(got), version)
	}
}

// until polls a condition, which says what is still missing, up to a deadline.
func (w *world) until(what string, within time.Duration, missing func() string) {
	w.Helper()
	for end := time.Now().Add(within); ; {
		m := missing()
		if m == "" {
			return
		}
		if time.Now().After(end) {
			w.Fatalf("%s: not within %s: %s", what, within, m)
		}
		select {
		case <-w.ctx.Done():
			w.Fatalf("%s: %v: %s", what, w.ctx.Err(), m)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// table is what the proxy does.
func (w *world) table() wire.Table {
	w.Helper()
	t, err := w.host.Routes(w.ctx)
	if err != nil {
		w.Fatal(err)
	}
	return t
}

// serving is the process that serves a tenant, 0 if there is none.
func (w *world) serving(tenant string) int {
	w.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		w.Fatal(err)
	}
	slot := string(w.table().Routes[tenant].Entry.Slot)
	for _, dir := range dirs {
		env, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil {
			continue // it has ended
		}
		vars := strings.Split(string(env), "\x00")
		if !slices.Contains(vars, "TENANT="+tenant) || !slices.Contains(vars, "SLOT="+slot) || !slices.Contains(vars, "NODE="+w.Node) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			return pid
		}
	}
	return 0
}

// kill kills what serves a tenant, and waits until it is gone. The runtime does
// not start it again by itself.
func (w *world) kill(tenant string) {
	w.Helper()
	pid := w.serving(tenant)
	if pid == 0 {
		w.Fatalf("nothing serves %s", tenant)
	}
	if w.Runtime == engine {
		// The engine starts a process that died again, and a container it was
		// told to kill it does not.
		w.docker("kill", docker.Name(w.fleet.name, plans.Key{Tenant: tenant, Slot: w.table().Routes[tenant].Entry.Slot, Service: "app"}))
	} else {
		// Its shim, its parent, would start it again: that goes first.
		shim := parent(pid)
		if shim > 1 && shim != os.Getpid() {
			if err := syscall.Kill(shim, syscall.SIGKILL); err != nil {
				w.Fatal(err)
			}
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			w.Fatal(err)
		}
	}
	w.until("end of what serves "+tenant, enough, func() string {
		if err := syscall.Kill(pid, 0); err == nil {
			return "it lives"
		}
		return ""
	})
}

// parent is the fourth field of stat (proc_pid_stat(5)).
func parent(pid int) int {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(fields[1]) // 0 if it is none
	return n
}

// docker runs the engine's own client.
func (w *world) docker(args ...string) string {
	w.Helper()
	cmd := exec.CommandContext(w.ctx, "docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+w.DockerHost)
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// started is when each instance of a tenant was started, by slot and service.
func (w *world) started(tenant string) map[string]string {
	w.Helper()
	r, err := w.Run(w.ctx, "explain", tenant, "-o", "json")
	if err != nil {
		w.Fatal(err)
	}
	var e agent.Explanation
	if err := json.Unmarshal([]byte(r.Stdout), &e); err != nil {
		w.Fatalf("explain: %v\n%s%s", err, r.Stdout, r.Stderr)
	}
	all := map[string]string{}
	for _, in := range e.Facts.Instances {
		all[in.Key.String()] = fmt.Sprint(in.ID, " ", in.Phase, " ", in.Started.UnixNano())
	}
	return all
}

// same wants no instance to have been touched since.
func (w *world) same(tenant string, before map[string]string) {
	w.Helper()
	if now := w.started(tenant); fmt.Sprint(now) != fmt.Sprint(before) {
		w.Errorf("%s was touched: before %v, now %v", tenant, before, now)
	}
}

// tree is every file below a directory with its size and times.
func tree(t testing.TB, dir string, leaveOut func(string) bool) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if leaveOut != nil && leaveOut(path) {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		all[path] = fmt.Sprint(info.Mode(), " ", info.Size(), " ", info.ModTime().UnixNano())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// moved names what differs between two trees.
func moved(before, after map[string]string) (names []string) {
	for name, was := range before {
		if is, ok := after[name]; !ok {
			names = append(names, name+" is gone")
		} else if is != was {
			names = append(names, name+" was "+was+", is "+is)
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			names = append(names, name+" is new")
		}
	}
	slices.Sort(names)
	return names
}

// git runs git in the clone a person works in.
func (w *world) git(args ...string) {
	w.Helper()
	cmd := exec.CommandContext(w.ctx, "git", args...)
	cmd.Dir = w.Work
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		w.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
