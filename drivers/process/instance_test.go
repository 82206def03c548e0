package process_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/images"
	"github.com/gitops-fleet/reconcile/drivers/process"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

var guestOnce sync.Mutex

// guest is an order for an instance of the guest program.
func guest(t *testing.T, rt *process.Runtime, service string, words ...string) plans.Instance {
	t.Helper()
	want := plans.Instance{
		Key:    plans.Key{Tenant: "suite", Slot: plans.Blue, Service: service},
		Digest: "s1:" + service, Generation: "g1:1", Attempt: "a1",
		Spec: plans.Service{Image: guestImage(t), Args: words},
	}
	if err := rt.Pull(t.Context(), want.Spec.Image, nil); err != nil {
		t.Fatal(err)
	}
	return want
}

func guestImage(t *testing.T) string {
	t.Helper()
	guestOnce.Lock()
	defer guestOnce.Unlock()
	hub.mu.Lock()
	ref := hub.refs["guest"]
	hub.mu.Unlock()
	if ref != "" {
		return ref
	}
	bin, err := hub.guest()
	if err != nil {
		t.Fatal(err)
	}
	ref, err = hub.reg.Push(t.Context(), "test/guest", "1", images.Spec{
		Binary: bin, Env: map[string]string{"FROM": "image", "BOTH": "image"},
		Files: map[string]string{
			"etc/passwd": "root:x:0:0::/root:/bin/sh\nweb:x:33:44::/srv/web:/bin/sh\n",
			"etc/group":  "root:x:0:\nweb:x:44:\nlogs:x:55:web,other\n",
			"etc/motd":   "of the image",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	hub.mu.Lock()
	hub.refs["guest"] = ref
	hub.mu.Unlock()
	return ref
}

func start(t *testing.T, rt *process.Runtime, want plans.Instance) {
	t.Helper()
	if err := rt.Start(t.Context(), "1", want); err != nil {
		t.Fatal(err)
	}
}

// see waits until an instance is as ok says.
func see(t *testing.T, rt *process.Runtime, key plans.Key, ok func(observed.Instance) bool) observed.Instance {
	t.Helper()
	var last []observed.Instance
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		all, _, err := rt.Observe(t.Context(), key.Tenant)
		if err != nil {
			t.Fatal(err)
		}
		last = all
		for _, i := range all {
			if i.Key == key && ok(i) {
				return i
			}
		}
	}
	t.Fatalf("%s is not as wanted: %+v", key, last)
	return observed.Instance{}
}

func exited(i observed.Instance) bool { return i.Phase == observed.Exited && !i.Restarting }

func running(i observed.Instance) bool { return i.Phase == observed.Running }

// says waits until the log of an instance holds text.
func says(t *testing.T, rt *process.Runtime, key plans.Key, text string) {
	t.Helper()
	last := ""
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		var err error
		if last, err = rt.Logs(t.Context(), key, 1000); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(last, text) {
			return
		}
	}
	t.Fatalf("%s never said %q but %q", key, text, last)
}

// tell runs a word of the guest beside it.
func tell(t *testing.T, rt *process.Runtime, key plans.Key, words ...string) (int, string) {
	t.Helper()
	exit, out, err := rt.Exec(t.Context(), key, append([]string{"/serve"}, words...))
	if err != nil {
		t.Fatal(err)
	}
	return exit, out
}

type report struct {
	UID, GID  int
	Groups    []int
	Dir, Host string
	Env       []string
	Status    map[string]string
	Pids      []string
	Dev       []string
}

func reportOf(t *testing.T, rt *process.Runtime, key plans.Key) report {
	t.Helper()
	exit, out := tell(t, rt, key, "report")
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil || exit != 0 {
		t.Fatalf("report: exit %d, %v: %q", exit, err, out)
	}
	return r
}

// A hook is told the ports of the service it runs beside, as that service is.
func TestEnvironmentBeside(t *testing.T) {
	t.Parallel()
	rt := host(t)
	want := guest(t, rt, "app", "sleep")
	want.Beside = map[string]int{"http": 18080, "admin-api": 18081}
	start(t, rt, want)
	r := reportOf(t, rt, want.Key)
	for _, kv := range []string{"PORT=18080", "PORT_HTTP=18080", "PORT_ADMIN_API=18081"} {
		if !slices.Contains(r.Env, kv) {
			t.Errorf("environment lacks %s: %q", kv, r.Env)
		}
	}
	if in := see(t, rt, want.Key, func(observed.Instance) bool { return true }); len(in.Ports) > 0 {
		t.Errorf("it is said to have the ports %v", in.Ports)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	rt := host(t)
	secrets := filepath.Join(t.TempDir(), "secrets.env")
	if err := os.WriteFile(secrets, []byte("# of acme\nTOKEN=a=b \"c\"\n\nBOTH=file\nPLAN=file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := guest(t, rt, "app", "sleep")
	want.Ports = map[string]int{"http": 18080, "admin-api": 18081}
	want.Spec.Workdir = "/made/for/it"
	want.Spec.Env = map[string]string{"PLAN": "plan"}
	want.Spec.EnvFrom = []plans.HostFile{{File: secrets, Version: "1"}}
	want.Spec.Files = map[string]plans.File{
		"/etc/app/app.toml": {Text: "a = 1\n"}, "/etc/motd": {Text: "of the plan", Mode: "0400"},
	}
	start(t, rt, want)
	r := reportOf(t, rt, want.Key)
	for _, kv := range []string{"FROM=image", "BOTH=file", "PLAN=plan", `TOKEN=a=b "c"`, "PORT=18080",
		"PORT_HTTP=18080", "PORT_ADMIN_API=18081", "HOME=/root", "HOSTNAME=app-blue-suite"} {
		if !slices.Contains(r.Env, kv) {
			t.Errorf("environment lacks %s: %q", kv, r.Env)
		}
	}
	if r.Dir != "/made/for/it" || r.Host != "app-blue-suite" {
		t.Errorf("runs in %s on %s", r.Dir, r.Host)
	}
	for path, text := range map[string]string{"/etc/app/app.toml": "a = 1\n", "/etc/motd": "of the plan", "/etc/hostname": "app-blue-suite\n"} {
		if exit, out := tell(t, rt, want.Key, "cat", path); exit != 0 || out != text {
			t.Errorf("%s holds %q (exit %d), want %q", path, out, exit, text)
		}
	}
	inputs := see(t, rt, want.Key, func(observed.Instance) bool { return true }).Inputs
	if !strings.HasPrefix(inputs, "i1:") {
		t.Errorf("the digest of its inputs is %q", inputs)
	}
	// Nobody else on the host may read what was resolved.
	err := filepath.WalkDir(dirOf(t, want.Key), func(p string, d os.DirEntry, err error) error {
		if info, e := os.Stat(p); e == nil && filepath.Base(p) == "order.json" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", p, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestIsolation(t *testing.T) {
	t.Parallel()
	rt := host(t)
	want := guest(t, rt, "app", "sleep")
	want.Spec.Tmpfs = []string{"/scratch:size=64k,mode=0700"}
	start(t, rt, want)
	r := reportOf(t, rt, want.Key)
	if r.UID != 0 || r.GID != 0 {
		t.Errorf("runs as %d:%d", r.UID, r.GID)
	}
	// chown dac_override fowner fsetid kill setgid setuid net_bind_service sys_chroot
	const few = "00000000000404fb"
	if r.Status["CapBnd"] != few || r.Status["CapEff"] != few || r.Status["NoNewPrivs"] != "1" {
		t.Errorf("may do too much, or too little: %v", r.Status)
	}
	if len(r.Pids) != 3 { // the shim, sleep, report
		t.Errorf("sees processes %v", r.Pids)
	}
	if got := strings.Join(r.Dev, " "); got != "fd full null random shm stderr stdin stdout tty urandom zero" {
		t.Errorf("/dev holds %s", got)
	}
	refused := [][]string{
		{"mount", "/tmp"}, {"umount", "/proc/sys"}, {"node", "/tmp/disk"}, {"look"},
		{"write", "/proc/sys/kernel/core_pattern", "|/evil"}, {"write", "/proc/sysrq-trigger", "h"},
		{"ls", rootOf(t)}, {"ls", "/sys/kernel"},
	}
	for _, words := range refused {
		if exit, out := tell(t, rt, want.Key, words...); exit == 0 {
			t.Errorf("%q is allowed: %s", words, out)
		}
	}
	for _, words := range [][]string{
		{"write", "/etc/motd", "changed"}, {"rm", "/etc/passwd"}, {"write", "/scratch/a", "b"}, {"write", "/dev/shm/a", "b"},
	} {
		if exit, out := tell(t, rt, want.Key, words...); exit != 0 {
			t.Errorf("%q is not allowed: %s", words, out)
		}
	}
	// Process 1 cannot be ended from inside.
	tell(t, rt, want.Key, "killone")
	if exit, out := tell(t, rt, want.Key, "cat", "/etc/motd"); exit != 0 || out != "changed" {
		t.Errorf("after a kill of process 1: exit %d, %q", exit, out)
	}
	// The image is as it was, and another instance of it too.
	other := guest(t, rt, "other", "sleep")
	start(t, rt, other)
	if exit, out := tell(t, rt, other.Key, "cat", "/etc/motd"); exit != 0 || out != "of the image" {
		t.Errorf("another instance sees %q (exit %d)", out, exit)
	}
	// The layer outlives a stop.
	if err := rt.Stop(t.Context(), "2", want.Key, time.Second); err != nil {
		t.Fatal(err)
	}
	start(t, rt, want)
	if exit, out := tell(t, rt, want.Key, "cat", "/etc/motd"); exit != 0 || out != "changed" {
		t.Errorf("after a stop and a start: exit %d, %q", exit, out)
	}
	if exit, _ := tell(t, rt, want.Key, "cat", "/scratch/a"); exit == 0 {
		t.Error("a tmpfs outlived a stop")
	}
}

// Without overlayfs each instance has a copy, and everything else is the same.
func TestCopied(t *testing.T) {
	t.Parallel()
	host(t)
	rt, err := process.New(process.Config{Root: rootOf(t), Owner: drivers.Owner{Fleet: "test", Node: "here"}, Copy: true})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	one, two := guest(t, rt, "one", "sleep"), guest(t, rt, "two", "sleep")
	one.Spec.User, two.Spec.User = "1234", "1234"
	start(t, rt, one)
	start(t, rt, two)
	if exit, out := tell(t, rt, one.Key, "write", "/tmp/a", "changed"); exit != 0 {
		t.Error(out)
	}
	for _, c := range []struct {
		key  plans.Key
		exit int
	}{{one.Key, 0}, {two.Key, 1}} {
		if exit, out := tell(t, rt, c.key, "cat", "/tmp/a"); exit != c.exit {
			t.Errorf("%s: exit %d, %s", c.key, exit, out)
		}
	}
	if exit, out := tell(t, rt, one.Key, "cat", "/etc/motd"); exit != 0 || out != "of the image" {
		t.Errorf("exit %d, %q", exit, out)
	}
	mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", processes(t, rootOf(t))[0].pid))
	if err != nil || strings.Contains(string(mounts), "overlay") {
		t.Errorf("overlayfs was used: %v", err)
	}
}

func TestVolumes(t *testing.T) {
	t.Parallel()
	rt := host(t)
	data, fixed := t.TempDir(), t.TempDir()
	for dir, text := range map[string]string{data: "d", fixed: "f"} {
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := guest(t, rt, "app", "sleep")
	want.Volumes = map[string]plans.Bind{
		"/srv/data": {Host: data}, "/srv/data/fixed": {Host: fixed, ReadOnly: true},
		"/etc/one": {Host: filepath.Join(fixed, "file"), ReadOnly: true},
	}
	start(t, rt, want)
	if exit, out := tell(t, rt, want.Key, "write", "/srv/data/new", "written"); exit != 0 {
		t.Errorf("write to a volume: %s", out)
	}
	if b, err := os.ReadFile(filepath.Join(data, "new")); err != nil || string(b) != "written" {
		t.Errorf("on the host it is %q, %v", b, err)
	}
	for _, path := range []string{"/srv/data/fixed/new", "/etc/one"} {
		if exit, _ := tell(t, rt, want.Key, "write", path, "x"); exit == 0 {
			t.Errorf("%s can be written to", path)
		}
	}
	for path, text := range map[string]string{"/srv/data/file": "d", "/srv/data/fixed/file": "f", "/etc/one": "f"} {
		if exit, out := tell(t, rt, want.Key, "cat", path); exit != 0 || out != text {
			t.Errorf("%s: exit %d, %q, want %q", path, exit, out, text)
		}
	}
	moved := want
	moved.Volumes = map[string]plans.Bind{"/srv/data": {Host: fixed}}
	if err := rt.Start(t.Context(), "2", moved); observed.ClassOf(err) != observed.Conflict {
		t.Errorf("other volumes: %v, want a conflict", err)
	}
}

func TestUser(t *testing.T) {
	t.Parallel()
	for user, ids := range map[string][2]int{"web": {33, 44}, "1234": {1234, 0}, "1234:5678": {1234, 5678}, "web:logs": {33, 55}} {
		t.Run(user, func(t *testing.T) {
			rt := host(t)
			data := t.TempDir()
			if os.Geteuid() == 0 {
				if err := os.Chown(data, ids[0], ids[1]); err != nil {
					t.Fatal(err)
				}
			}
			want := guest(t, rt, "app", "sleep")
			want.Spec.User = user
			want.Volumes = map[string]plans.Bind{"/srv/data": {Host: data}}
			start(t, rt, want)
			r := reportOf(t, rt, want.Key)
			if r.UID != ids[0] || r.GID != ids[1] {
				t.Errorf("runs as %d:%d, want %v", r.UID, r.GID, ids)
			}
			if r.Status["CapEff"] != "0000000000000000" {
				t.Errorf("has capabilities %s", r.Status["CapEff"])
			}
			if user == "web" && os.Geteuid() == 0 && !slices.Equal(r.Groups, []int{55}) {
				t.Errorf("is in groups %v", r.Groups)
			}
			if exit, out := tell(t, rt, want.Key, "write", "/srv/data/mine", "x"); exit != 0 {
				t.Errorf("cannot write to its volume: %s", out)
			}
			if exit, out := tell(t, rt, want.Key, "write", "/dev/stdout", "hello"); exit != 0 || out != "hello" {
				t.Errorf("cannot write to /dev/stdout: exit %d, %s", exit, out)
			}
		})
	}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "run")
	rt := hostWith(t, root, process.Limits{LogBytes: 64 << 10})
	want := guest(t, rt, "app", "spam", "5000") // half a megabyte
	start(t, rt, want)
	says(t, rt, want.Key, "ready")
	text, err := rt.Logs(t.Context(), want.Key, 3)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%099d\n%099d\nready\n", 4998, 4999); text != want {
		t.Errorf("the last lines are %q", text)
	}
	for _, name := range []string{"log", "log.1"} {
		info, err := os.Stat(filepath.Join(dirOf(t, want.Key), name))
		if err != nil || info.Size() > 64<<10 {
			t.Errorf("%s: %v, %v", name, info.Size(), err)
		}
	}
}

func TestCannotStart(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*plans.Instance){
		"no such program": func(i *plans.Instance) { i.Spec.Command = []string{"/nothing"} },
		"not in PATH":     func(i *plans.Instance) { i.Spec.Command = []string{"nothing"} },
		"no program":      func(i *plans.Instance) { i.Spec.Command = []string{"/etc/motd"} },
		"no such user":    func(i *plans.Instance) { i.Spec.User = "nobody-knows" },
		"no such signal":  func(i *plans.Instance) { i.Spec.StopSignal = "SIGNOTHING" },
		"no such volume":  func(i *plans.Instance) { i.Volumes = map[string]plans.Bind{"/x": {Host: "/nothing/there"}} },
		"no such secret":  func(i *plans.Instance) { i.Spec.EnvFrom = []plans.HostFile{{File: "/nothing", Version: "1"}} },
		"file in a volume": func(i *plans.Instance) {
			i.Volumes, i.Spec.Files = map[string]plans.Bind{"/x": {Host: "/tmp"}}, map[string]plans.File{"/x/y": {}}
		},
		"mount over the root": func(i *plans.Instance) { i.Volumes = map[string]plans.Bind{"/": {Host: "/tmp"}} },
		"odd tmpfs":           func(i *plans.Instance) { i.Spec.Tmpfs = []string{"/x:uid=0"} },
		"no healthcheck":      func(i *plans.Instance) { i.Spec.Health = &plans.Health{Image: true} },
		"own network":         func(i *plans.Instance) { i.Spec.Network = "own" },
		"published port":      func(i *plans.Instance) { i.Spec.Publish = []plans.Publish{{Port: 1, Container: 1}} },
		"resources":           func(i *plans.Instance) { i.Spec.Resources.Pids = 5 },
		"capabilities":        func(i *plans.Instance) { i.Spec.Capabilities = []string{"NET_ADMIN"} },
		"privileged":          func(i *plans.Instance) { i.Spec.Privileged = true },
		"odd name":            func(i *plans.Instance) { i.Service = "../up" },
	} {
		t.Run(name, func(t *testing.T) {
			rt := host(t)
			want := guest(t, rt, "app", "sleep")
			change(&want)
			err := rt.Start(t.Context(), "1", want)
			if observed.ClassOf(err) != observed.Refused {
				t.Fatalf("%v, want it refused", err)
			}
			t.Log(err)
			if left := processes(t, rootOf(t)); len(left) != 0 {
				t.Errorf("left: %+v", left)
			}
		})
	}
}
