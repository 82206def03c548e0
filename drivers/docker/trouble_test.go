package docker_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/docker"
	"github.com/gitops-fleet/reconcile/drivers/docker/dockertest"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// dying is a runtime whose engine can no longer be reached from the request on
// whose path ends so, as if the process had died there.
func dying(t *testing.T, e *dockertest.Engine, state, suffix string) *docker.Runtime {
	t.Helper()
	engine, err := url.Parse(e.Host)
	must(t, err)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "engine"}) },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", engine.Path)
		}},
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, suffix) {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	l, err := net.Listen("unix", filepath.Join(state, "s"))
	must(t, err)
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return openAs(t, docker.Config{Host: "unix://" + filepath.Join(state, "s"), State: state, Owner: owner})
}

func TestPortTaken(t *testing.T) {
	e := sharedEngine(t)
	rt := open(t, e, t.TempDir())
	want := serve(t, "acme", plans.Blue, "app")
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", want.Ports["http"]))
	must(t, err)
	defer l.Close()
	must(t, rt.Pull(bound(t), want.Spec.Image, nil))
	port := fmt.Sprint(want.Ports["http"])
	p := problem(t, rt.Start(bound(t), "1", want), observed.Refused, "port "+port+" is taken by docker.test")
	if !strings.Contains(p.Hint, port) {
		t.Errorf("hint %q does not name the port", p.Hint)
	}
	problem(t, rt.Listens(bound(t), want.Key, want.Ports["http"]), observed.Conflict)
	l.Close()
	start(t, rt, want)
}

func TestPortTakenByAnotherContainer(t *testing.T) {
	e := sharedEngine(t)
	rt := open(t, e, t.TempDir())
	one, two := serve(t, "acme", plans.Blue, "app"), serve(t, "acme", plans.Green, "app")
	two.Ports = one.Ports
	start(t, rt, one)
	problem(t, rt.Start(bound(t), "1", two), observed.Refused, fmt.Sprintf("port %d is taken by docker-proxy", one.Ports["http"]))
	answers(t, one.Ports["http"], one.Spec.Env["VERSION"])
}

// An answer on the port is not the instance's when the engine's proxy died and
// somebody else took its place.
func TestAnswerFromAnotherProcessIsNoticed(t *testing.T) {
	e := sharedEngine(t)
	rt := open(t, e, t.TempDir())
	want := serve(t, "acme", plans.Blue, "app")
	start(t, rt, want)
	must(t, rt.Listens(bound(t), want.Key, want.Ports["http"]))
	port := fmt.Sprint(want.Ports["http"])
	killProxy(t, e, port)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, want.Spec.Env["VERSION"])
	}))
	until(t, func() string {
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			return err.Error()
		}
		s.Listener = l
		return ""
	})
	s.Start()
	defer s.Close()
	answers(t, want.Ports["http"], want.Spec.Env["VERSION"])
	problem(t, rt.Listens(bound(t), want.Key, want.Ports["http"]), observed.Conflict, "answered by docker.test")
}

// killProxy kills the process of the engine that serves a host port.
func killProxy(t *testing.T, e *dockertest.Engine, port string) {
	t.Helper()
	for _, p := range e.Proxies() {
		if p.HostPort == port {
			must(t, syscall.Kill(p.Pid, syscall.SIGKILL))
			return
		}
	}
	t.Fatalf("no proxy serves port %s", port)
}

func TestIndexAndPlatform(t *testing.T) {
	e := sharedEngine(t)
	rt := open(t, e, t.TempDir())
	b := bed(t)
	var told []drivers.Progress
	must(t, rt.Pull(bound(t), b.index, func(p drivers.Progress) { told = append(told, p) }))
	if n := len(told); n == 0 || told[n-1].Total == 0 || told[n-1].Done != told[n-1].Total {
		t.Errorf("progress ends as %+v", told)
	}
	want := serve(t, "acme", plans.Blue, "app")
	want.Spec.Image = b.index
	start(t, rt, want)
	if _, digest, _ := strings.Cut(b.index, "@"); see(t, rt, want.Key).Image != digest {
		t.Errorf("runs %s, want the index %s", see(t, rt, want.Key).Image, digest)
	}
	problem(t, rt.Pull(bound(t), b.foreign, nil), observed.Refused, "linux/")
	problem(t, rt.Pull(bound(t), b.registry.Addr+"/serve:1", nil), observed.Refused, "digest")
}

// A registry that wants a password: with the one in Docker's own file the pull
// goes through; without, or with a wrong one, it is refused, and no message
// holds it.
func TestCredentials(t *testing.T) {
	b := bed(t)
	back, err := url.Parse("http://" + b.registry.Addr)
	must(t, err)
	proxy := httputil.NewSingleHostReverseProxy(back)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "fleet" || password != "correct-horse" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	defer s.Close()
	host := strings.TrimPrefix(s.URL, "http://")
	ref := strings.Replace(b.refs["serve2"], b.registry.Addr, host, 1)
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	helpers := t.TempDir()
	t.Setenv("PATH", helpers+":"+os.Getenv("PATH"))
	must(t, os.WriteFile(filepath.Join(helpers, "docker-credential-test"),
		[]byte("#!/bin/sh\ncat >/dev/null\necho '{\"ServerURL\":\"x\",\"Username\":\"fleet\",\"Secret\":\"correct-horse\"}'\n"), 0o755))
	auth := func(password string) map[string]any {
		return map[string]any{"auths": map[string]any{host: map[string]string{
			"auth": base64.StdEncoding.EncodeToString([]byte("fleet:" + password)),
		}}}
	}
	for _, c := range []struct {
		name   string
		config map[string]any
		ok     bool
	}{
		{"none", map[string]any{}, false},
		{"wrong", auth("wrong-horse"), false},
		{"right", auth("correct-horse"), true},
		{"helper", map[string]any{"credHelpers": map[string]string{host: "test"}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := sharedEngine(t)
			rt := open(t, e, t.TempDir())
			content, err := json.Marshal(c.config)
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, "config.json"), content, 0o600))
			err = rt.Pull(bound(t), ref, nil)
			if c.ok {
				must(t, err)
				return
			}
			p := problem(t, err, observed.Refused)
			if !strings.Contains(p.Hint, "docker login") {
				t.Errorf("hint %q does not say docker login", p.Hint)
			}
			if strings.Contains(p.Error(), "horse") {
				t.Errorf("the error tells the password: %v", p)
			}
		})
	}
}

func TestRegistryInTrouble(t *testing.T) {
	e := sharedEngine(t)
	rt := open(t, e, t.TempDir())
	none := "@sha256:" + strings.Repeat("0123456789abcdef", 4)
	for name, c := range map[string]struct {
		status int
		class  observed.Class
	}{
		"broken":  {http.StatusBadGateway, observed.Environment},
		"limited": {http.StatusTooManyRequests, observed.Environment},
		"denied":  {http.StatusForbidden, observed.Refused},
		"missing": {http.StatusNotFound, observed.Refused},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v2/" {
					return
				}
				http.Error(w, http.StatusText(c.status), c.status)
			}))
			defer s.Close()
			problem(t, rt.Pull(bound(t), strings.TrimPrefix(s.URL, "http://")+"/serve"+none, nil), c.class)
		})
	}
}

func TestForeignOfAnotherNode(t *testing.T) {
	e := sharedEngine(t)
	rt := open(t, e, t.TempDir())
	other := openAs(t, docker.Config{Host: e.Host, State: t.TempDir(), Owner: drivers.Owner{Fleet: "test", Node: "n2", Controller: "c2"}})
	want := serve(t, "acme", plans.Blue, "app")
	start(t, rt, want)
	problem(t, other.Start(bound(t), "1", want), observed.Refused, "reconcile-test-acme-blue")
	problem(t, other.Remove(bound(t), "2", want.Key), observed.Refused, docker.Name("test", want.Key))
	if _, _, err := other.Exec(bound(t), want.Key, []string{"/serve", "exit", "0"}); observed.ClassOf(err) != observed.Refused {
		t.Errorf("exec in a foreign container: %v", err)
	}
	all, foreign, err := other.Observe(bound(t))
	if err != nil || len(all) != 0 || len(foreign["acme"]) != 1 {
		t.Errorf("seen %v, foreign %v, %v", all, foreign, err)
	}
	answers(t, want.Ports["http"], want.Spec.Env["VERSION"])
}

func TestPruneKeepsWhatIsNotOurs(t *testing.T) {
	e := sharedEngine(t)
	state := t.TempDir()
	rt, cli := open(t, e, state), bare(t, e)
	theirs, ours := bed(t).refs["serve2"], serveImage(t)
	pull, err := cli.ImagePull(bound(t), theirs, client.ImagePullOptions{})
	must(t, err)
	must(t, pull.Wait(bound(t)))
	must(t, rt.Pull(bound(t), theirs, nil))
	want := serve(t, "acme", plans.Blue, "app")
	start(t, rt, want)
	must(t, rt.Stop(bound(t), "2", want.Key, 0))
	rt = open(t, e, state)
	must(t, rt.Prune(bound(t), nil, nil))
	for _, ref := range []string{theirs, ours} {
		if there, err := rt.Present(bound(t), ref); err != nil || !there {
			t.Errorf("%s is gone: %v", ref, err)
		}
	}
	must(t, rt.Remove(bound(t), "3", want.Key))
	must(t, rt.Prune(bound(t), nil, nil))
	if there, _ := rt.Present(bound(t), ours); there {
		t.Error("an image we pulled, that nobody keeps or uses, is still there")
	}
	if there, _ := rt.Present(bound(t), theirs); !there {
		t.Error("an image we did not pull is gone")
	}
}
