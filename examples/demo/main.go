// Command demo plays the main job on this machine and explains it as it goes:
// three tenants come up from a git repository, a commit upgrades them one by one
// under load, a commit with a broken image stops at the first tenant, and a
// revert clears it. It needs Go and git, and leaves nothing behind.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/caddy"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/images"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/load"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/stage"
)

func main() {
	runtime := flag.String("runtime", "process", "process or docker")
	socket := flag.String("docker-host", dockerHost(), "socket of the Docker engine, with -runtime docker")
	keep := flag.Bool("keep", false, "keep the folder the demo ran in")
	plans := flag.String("plans", "examples/quickstart/plans", "the plans to begin with")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *runtime, *socket, *plans, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func dockerHost() string {
	if h := os.Getenv("DOCKER_HOST"); h != "" {
		return h
	}
	return "unix:///var/run/docker.sock"
}

// repo is what the quickstart's image is called, up to its tag.
const repo = "registry.example.com/hello"

var tenants = []string{"acme", "globex", "initech"}

type demo struct {
	*stage.Stage
	plans  string
	starts map[string]string // tenant → when its service was started
}

func run(ctx context.Context, runtime, dockerHost, plans string, keep bool) (err error) {
	began := time.Now()
	dir, err := os.MkdirTemp("", "reconcile-demo-")
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	say("Setting the stage in %s: an image registry, a bare git repository, a state directory.", dir)
	serve, err := images.BuildServe(ctx, dir)
	if err != nil {
		return err
	}
	s, err := stage.New(ctx, stage.Config{Dir: dir, Bin: filepath.Dir(self), Serve: serve, Runtime: runtime, DockerHost: dockerHost})
	if err != nil {
		return err
	}
	d := &demo{Stage: s, plans: plans}
	defer func() {
		// What was started is ended even where the story was interrupted.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if cerr := d.clear(end, keep); err == nil {
			err = cerr
		}
		if err == nil {
			say("Done in %s; nothing is left behind.", time.Since(began).Round(time.Second))
		}
	}()
	return d.play(ctx)
}

func (d *demo) play(ctx context.Context) error {
	one, err := d.Image(ctx, "hello", "1.0", nil)
	if err != nil {
		return err
	}
	two, err := d.Image(ctx, "hello", "1.1", nil)
	if err != nil {
		return err
	}
	broken, err := d.Image(ctx, "hello", "1.2", map[string]string{"FAIL": "health"})
	if err != nil {
		return err
	}
	files, err := d.quickstart(one)
	if err != nil {
		return err
	}

	say("1. Three tenants, described by %d files in git. `reconcile` makes this host run them.", len(files))
	if _, err := d.Commit(ctx, "three tenants on hello 1.0", files); err != nil {
		return err
	}
	if err := d.pass(ctx, 0); err != nil {
		return err
	}
	if err := d.versions(ctx, "1.0"); err != nil {
		return err
	}

	say("2. A commit moves the template to 1.1. Clients keep asking all three tenants meanwhile.")
	if err := d.upgrade(ctx, "hello 1.1", one, two, 0); err != nil {
		return err
	}
	if err := d.versions(ctx, "1.1"); err != nil {
		return err
	}

	say("3. A commit with a broken image: 1.2 starts but never becomes healthy.")
	if d.starts, err = d.started(ctx); err != nil {
		return err
	}
	if err := d.upgrade(ctx, "hello 1.2", two, broken, 3); err != nil {
		return err
	}
	if err := d.versions(ctx, "1.1"); err != nil {
		return err
	}
	now, err := d.started(ctx)
	if err != nil {
		return err
	}
	for _, t := range tenants {
		if now[t] != d.starts[t] {
			return fmt.Errorf("%s was restarted by a release that never reached it", t)
		}
	}
	say("   %s failed and went back; what served was never restarted, on any tenant. `reconcile status` says:", tenants[0])
	if err := d.show(ctx, "status"); err != nil {
		return err
	}

	say("4. git revert: the plan is what runs again, and nothing has to move.")
	if _, err := d.Revert(ctx); err != nil {
		return err
	}
	if err := d.pass(ctx, 0); err != nil {
		return err
	}
	return d.versions(ctx, "1.1")
}

// quickstart reads the example's plans, with the image that was pushed.
func (d *demo) quickstart(image string) (map[string]string, error) {
	names, err := filepath.Glob(filepath.Join(d.plans, "*.yaml"))
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("no plans in %s (%v); run the demo from the repository's root", d.plans, err)
	}
	files := map[string]string{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		lines := strings.Split(string(b), "\n")
		for i, line := range lines {
			if at := strings.Index(line, "image: "+repo); at >= 0 {
				lines[i] = line[:at] + "image: " + image
			}
		}
		files[filepath.Base(name)] = strings.Join(lines, "\n")
	}
	return files, nil
}

// upgrade commits the change of image, makes a pass under load, and tells what
// became of the requests.
func (d *demo) upgrade(ctx context.Context, message, from, to string, exit int) error {
	file := filepath.Join(d.Work, "fleet.yaml")
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if _, err := d.Commit(ctx, message, map[string]string{"fleet.yaml": strings.Replace(string(b), from, to, 1)}); err != nil {
		return err
	}
	say("   What would it do? `reconcile --dry-run`:")
	if err := d.show(ctx, "--dry-run"); err != nil {
		return err
	}
	say("   And now for real:")
	runs, seen := map[string]*load.Run{}, map[string]*switchover{}
	for _, t := range tenants {
		seen[t] = &switchover{}
		runs[t] = load.Start(ctx, load.Config{
			Proxy: d.Proxy, Host: t + ".example.com", Expect: seen[t].note,
			Workers: map[load.Kind]int{load.Get: 2, load.Post: 1, load.Fresh: 1},
		})
	}
	passErr := d.pass(ctx, exit)
	failed := 0
	for _, t := range tenants {
		r := runs[t].Stop()
		failed += r.Failed()
		say("   %-8s %s", t, r)
		say("            %s", seen[t])
	}
	if passErr != nil {
		return passErr
	}
	if failed > 0 {
		return fmt.Errorf("%d requests failed", failed)
	}
	return nil
}

// pass runs `reconcile` and wants an exit status.
func (d *demo) pass(ctx context.Context, want int) error {
	out := &indent{w: os.Stdout}
	r, err := d.Tee(ctx, out)
	if err != nil {
		return err
	}
	say("   (exit status %d, %s)", r.Exit, r.Took.Round(100*time.Millisecond))
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if r.Exit != want {
		return fmt.Errorf("reconcile ended with status %d, not %d", r.Exit, want)
	}
	return nil
}

// show runs a verb for its output.
func (d *demo) show(ctx context.Context, args ...string) error {
	_, err := d.Tee(ctx, &indent{w: os.Stdout}, args...)
	return err
}

// versions asks each tenant through the proxy who it is.
func (d *demo) versions(ctx context.Context, want string) error {
	for _, t := range tenants {
		got, err := d.Ask(ctx, t+".example.com", "/")
		if err != nil {
			return err
		}
		say("   %s.example.com answers: %s", t, strings.TrimSpace(got))
		if !strings.Contains(got, "version="+want+" ") || !strings.Contains(got, "tenant="+t+" ") {
			return fmt.Errorf("%s is not on %s", t, want)
		}
	}
	return nil
}

// started tells when the service of each tenant's active slot was started.
func (d *demo) started(ctx context.Context) (map[string]string, error) {
	st, err := d.Status(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, t := range st.Tenants {
		for _, s := range t.Services {
			out[t.Name] += s.Slot + "/" + s.Name + "@" + s.Since + " "
		}
	}
	return out, nil
}

// clear removes the tenants by the plan, as an operator would, then the proxy
// and the folder, and proves that nothing is left.
func (d *demo) clear(ctx context.Context, keep bool) error {
	say("Clearing up: tombstones in git remove the tenants, then the proxy is stopped.")
	tombs := map[string]string{}
	for _, t := range tenants {
		tombs[t+".yaml"] = fmt.Sprintf("apiVersion: reconcile/v1\nkind: Tenant\nmetadata: {name: %s}\nspec: {template: hello, removed: true}\n", t)
	}
	var errs []error
	if _, err := os.Stat(filepath.Join(d.Work, "fleet.yaml")); err == nil {
		if _, err := d.Commit(ctx, "remove the tenants", tombs); err != nil {
			errs = append(errs, err)
		} else if r, err := d.Run(ctx); err != nil || r.Exit != 0 {
			errs = append(errs, fmt.Errorf("removing the tenants: status %d, %v\n%s%s", r.Exit, err, r.Stdout, r.Stderr))
		}
	}
	errs = append(errs,
		caddy.Stop(ctx, caddy.Proxy{Dir: filepath.Join(d.State, "caddy"), Socket: filepath.Join(d.State, "caddy", "admin.sock"), Listen: []string{d.Proxy}}),
		d.Registry.Close())
	left, err := d.Leftovers(ctx)
	if err != nil {
		errs = append(errs, err)
	}
	if len(left) > 0 {
		errs = append(errs, fmt.Errorf("left behind:\n  %s", strings.Join(left, "\n  ")))
	}
	if keep {
		say("Kept: %s", d.Dir)
	} else {
		errs = append(errs, os.RemoveAll(d.Dir))
	}
	return errors.Join(slices.DeleteFunc(errs, func(e error) bool { return e == nil })...)
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// indent sets the output of reconcile off from the story.
type indent struct {
	w    io.Writer
	part []byte
}

func (i *indent) Write(p []byte) (int, error) {
	i.part = append(i.part, p...)
	for {
		line, rest, ok := bytes.Cut(i.part, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		w := bufio.NewWriter(i.w)
		w.WriteString("     | ")
		w.Write(line)
		w.WriteByte('\n')
		if err := w.Flush(); err != nil {
			return 0, err
		}
		i.part = slices.Clone(rest)
	}
}
