package docker_test

import (
	"archive/tar"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

func TestEveryFieldReachesTheEngine(t *testing.T) {
	e := sharedEngine(t)
	rt, cli := open(t, e, t.TempDir()), bare(t, e)
	dir := t.TempDir()
	data, secrets := filepath.Join(dir, "data"), filepath.Join(dir, "env")
	must(t, os.MkdirAll(filepath.Join(data, "sub"), 0o777))
	must(t, os.WriteFile(secrets, []byte("# a comment\nTOKEN=a=b\n\nVERSION=from the file\n"), 0o600))
	published := freePort(t)
	want := serve(t, "acme", plans.Blue, "app")
	want.Volumes = map[string]plans.Bind{"/data": {Host: data}, "/ro": {Host: filepath.Join(data, "sub"), ReadOnly: true}}
	s := &want.Spec
	s.Command, s.Workdir, s.User = []string{"/serve"}, "/data", "1000:1000"
	s.EnvFrom = []plans.HostFile{{File: secrets, Version: "1"}}
	s.Files = map[string]plans.File{
		"/etc/app/app.toml": {Text: "key = 1\n"},
		"/etc/app/secret":   {Text: "hush", Mode: "0400"},
	}
	s.Publish = []plans.Publish{{Port: published, Container: 8080}}
	s.Resources = plans.Resources{Memory: "64M", CPUs: 0.5, Pids: 50}
	s.Capabilities = []string{"NET_ADMIN"}
	s.Tmpfs = []string{"/run/app:size=1m"}
	s.StopSignal, s.StopTimeout = "SIGINT", 7*plans.Second
	s.Labels = map[string]string{"team": "blue"}
	start(t, rt, want)
	if body, err := get(published); err != nil || body != s.Env["VERSION"] {
		t.Errorf("the published port answers %q, %v", body, err)
	}

	c := inspect(t, cli, want.Key)
	for _, v := range []string{"VERSION=acme-blue-app", "TOKEN=a=b", "PORT=8080", "PORT_HTTP=8080"} {
		if !slices.Contains(c.Config.Env, v) {
			t.Errorf("no %s in %q", v, c.Config.Env)
		}
	}
	h := c.HostConfig
	for what, got := range map[string]bool{
		"workdir":     c.Config.WorkingDir == "/data",
		"user":        c.Config.User == "1000:1000",
		"entrypoint":  slices.Equal(c.Config.Entrypoint, []string{"/serve"}),
		"stop signal": c.Config.StopSignal == "SIGINT" && *c.Config.StopTimeout == 7,
		"memory":      h.Memory == 64<<20 && h.MemorySwap == 64<<20,
		"cpus":        h.NanoCPUs == 5e8,
		"pids":        *h.PidsLimit == 50,
		"caps":        slices.Contains([]string(h.CapAdd), "NET_ADMIN") || slices.Contains([]string(h.CapAdd), "CAP_NET_ADMIN"),
		"tmpfs":       h.Tmpfs["/run/app"] == "size=1m",
		"label":       c.Config.Labels["team"] == "blue",
		"loopback":    h.PortBindings != nil && loopbackOnly(c.NetworkSettings.Ports),
	} {
		if !got {
			t.Errorf("%s did not reach the engine: %+v %+v", what, c.Config, h)
		}
	}
	labels := c.Config.Labels
	for name, value := range map[string]string{
		"fleet": "test", "node": "n1", "controller": "c1", "tenant": "acme", "slot": "blue", "service": "app",
		"digest": want.Digest, "generation": "g1:1", "attempt": "a1", "commit": "c0ffee", "image": s.Image,
	} {
		if labels["reconcile."+name] != value {
			t.Errorf("label %s is %q, want %q", name, labels["reconcile."+name], value)
		}
	}
	if inputs := see(t, rt, want.Key).Inputs; !strings.HasPrefix(inputs, "i1:") || strings.Contains(inputs, "a=b") {
		t.Errorf("inputs digest %q", inputs)
	}
	if mode, content := copied(t, cli, c.ID, "/etc/app/app.toml"); content != "key = 1\n" || mode != 0o444 {
		t.Errorf("app.toml holds %q, mode %o", content, mode)
	}
	h2, err := cli.CopyFromContainer(bound(t), c.ID, client.CopyFromContainerOptions{SourcePath: "/etc/app/secret"})
	must(t, err)
	defer h2.Content.Close()
	if hdr, err := tar.NewReader(h2.Content).Next(); err != nil || hdr.Uid != 1000 || hdr.Mode&0o777 != 0o400 {
		t.Errorf("secret is %+v, %v", hdr, err)
	}
	if mode, _ := copied(t, cli, c.ID, "/etc/app"); mode&0o022 != 0 {
		t.Errorf("the directory made for the files has mode %o", mode)
	}
}

func loopbackOnly(ports network.PortMap) bool {
	for _, bindings := range ports {
		for _, b := range bindings {
			if b.HostIP.String() != "127.0.0.1" {
				return false
			}
		}
	}
	return len(ports) > 0
}

// copied returns mode and content of one file of a container.
func copied(t *testing.T, cli *client.Client, id, path string) (int64, string) {
	t.Helper()
	got, err := cli.CopyFromContainer(bound(t), id, client.CopyFromContainerOptions{SourcePath: path})
	must(t, err)
	defer got.Content.Close()
	r := tar.NewReader(got.Content)
	hdr, err := r.Next()
	must(t, err)
	b, err := io.ReadAll(r)
	must(t, err)
	return hdr.Mode & 0o7777, string(b)
}

func TestFilesSurviveARestart(t *testing.T) {
	e := sharedEngine(t)
	rt, cli := open(t, e, t.TempDir()), bare(t, e)
	want := serve(t, "acme", plans.Blue, "app")
	want.Spec.Files = map[string]plans.File{"/etc/app.toml": {Text: "key = 1\n"}}
	start(t, rt, want)
	must(t, rt.Stop(bound(t), "2", want.Key, 0))
	start(t, rt, want)
	if _, content := copied(t, cli, inspect(t, cli, want.Key).ID, "/etc/app.toml"); content != "key = 1\n" {
		t.Errorf("after a restart the file holds %q", content)
	}
}

func TestOrdersThatCannotBe(t *testing.T) {
	e := sharedEngine(t)
	rt := open(t, e, t.TempDir())
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad")
	must(t, os.WriteFile(bad, []byte("GOOD=1\nhunter2\n"), 0o600))
	must(t, rt.Pull(bound(t), serveImage(t), nil))
	for name, c := range map[string]struct {
		edit  func(*plans.Instance)
		words []string
	}{
		"no env file": {func(i *plans.Instance) {
			i.Spec.EnvFrom = []plans.HostFile{{File: filepath.Join(dir, "none"), Version: "1"}}
		}, []string{"none", "no such file"}},
		"bad env file": {func(i *plans.Instance) { i.Spec.EnvFrom = []plans.HostFile{{File: bad, Version: "1"}} }, []string{"line 2"}},
		"no volume": {func(i *plans.Instance) {
			i.Volumes = map[string]plans.Bind{"/data": {Host: filepath.Join(dir, "gone")}}
		}, []string{"gone"}},
		"no command": {func(i *plans.Instance) { i.Spec.Command = []string{"/nothing"} }, []string{"/nothing"}},
		"no user":    {func(i *plans.Instance) { i.Spec.User = "nobody-here" }, []string{"nobody-here"}},
		"our label":  {func(i *plans.Instance) { i.Spec.Labels = map[string]string{"reconcile.fleet": "other"} }, []string{"reconcile.fleet"}},
		"memory":     {func(i *plans.Instance) { i.Spec.Resources.Memory = "much" }, []string{"much"}},
		"file in a volume": {func(i *plans.Instance) {
			i.Volumes = map[string]plans.Bind{"/data": {Host: dir}}
			i.Spec.Files = map[string]plans.File{"/data/x": {Text: "x"}}
		}, []string{"/data/x"}},
	} {
		t.Run(name, func(t *testing.T) {
			want := serve(t, "acme", plans.Blue, "app")
			c.edit(&want)
			err := rt.Start(bound(t), "1", want)
			p := problem(t, err, observed.Refused, c.words...)
			if strings.Contains(p.Error(), "hunter2") {
				t.Errorf("the error tells a secret: %v", p)
			}
			must(t, rt.Remove(bound(t), "2", want.Key))
		})
	}
}
