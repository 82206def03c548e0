package process_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/process"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// The environment that makes this program a reconciler to be killed.
const (
	envVictim = "PROCESS_TEST_VICTIM" // its root
	envImage  = "PROCESS_TEST_IMAGE"
)

var victimKey = plans.Key{Tenant: "suite", Slot: plans.Green, Service: "app"}

// victim pulls, starts, stops, removes and prunes until it is killed.
func victim(root, ref string) int {
	ctx := context.Background()
	want := plans.Instance{Key: victimKey, Digest: "s1:1", Spec: plans.Service{Image: ref, Args: []string{"brood", "1", "stay"}}}
	for {
		rt, err := process.New(process.Config{Root: root, Owner: drivers.Owner{Fleet: "test", Node: "here"}})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		for _, step := range []func() error{
			func() error { return rt.Pull(ctx, ref, nil) },
			func() error { return rt.Start(ctx, "1", want) },
			func() error { return rt.Stop(ctx, "2", want.Key, time.Second) },
			func() error { return rt.Start(ctx, "3", want) },
			func() error { return rt.SetRouted(ctx, "4", want.Key, true) },
			func() error { return rt.Remove(ctx, "5", want.Key) },
			func() error { return rt.Prune(ctx, nil, nil) },
			rt.Close,
		} {
			if err := step(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
	}
}

// A reconciler killed again and again, wherever it is, leaves what the next
// one can go on with: at most one shim of an instance, nothing half made, and
// in the end nothing at all.
func TestCrashingReconciler(t *testing.T) {
	t.Parallel()
	host(t)
	root, ref := rootOf(t), guestImage(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	kills := 40
	if testing.Short() {
		kills = 10
	}
	for range kills {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), envVictim+"="+root, envImage+"="+ref)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		said, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond) // where the blow falls, and not a wait for anything
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		err = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code >= 0 {
			b, _ := os.ReadFile(said.Name())
			t.Fatalf("a reconciler ended by itself: %v: %s", err, b)
		}
		shims := 0
		for _, p := range processes(t, root) {
			if p.shim {
				shims++
			}
		}
		if shims > 1 {
			t.Fatalf("%d shims of one instance", shims)
		}
		half, err := filepath.Glob(filepath.Join(root, "images", "*.new"))
		if err != nil || len(half) > 1 {
			t.Fatalf("half written: %v, %v", half, err)
		}
	}
	// A new process finds its way from wherever that was.
	rt := newRuntime(t, root, process.Limits{})
	if err := rt.Pull(t.Context(), ref, nil); err != nil {
		t.Fatal(err)
	}
	want := plans.Instance{Key: victimKey, Digest: "s1:1", Spec: plans.Service{Image: ref, Args: []string{"brood", "1", "stay"}}}
	start(t, rt, want)
	see(t, rt, want.Key, func(i observed.Instance) bool { return i.Phase == observed.Running })
	says(t, rt, want.Key, "brooded")
}

// What a reconciler started outlives it, and the next one takes it over.
func TestCrashOutlived(t *testing.T) {
	t.Parallel()
	rt := host(t)
	want := guest(t, rt, "app", "sleep")
	start(t, rt, want)
	before := see(t, rt, want.Key, func(i observed.Instance) bool { return i.Phase == observed.Running })
	for _, p := range processes(t, rootOf(t)) {
		ours, err1 := unix.Getsid(0)
		sid, err2 := unix.Getsid(p.pid)
		if err1 != nil || err2 != nil || sid == ours {
			t.Errorf("process %d is in our session (%d; %v, %v)", p.pid, sid, err1, err2)
		}
	}
	next := newRuntime(t, rootOf(t), process.Limits{})
	after := see(t, next, want.Key, func(i observed.Instance) bool { return i.Phase == observed.Running })
	if after.ID != before.ID || !after.Started.Equal(before.Started) {
		t.Errorf("taken over as %+v, was %+v", after, before)
	}
	if exit, _ := tell(t, next, want.Key, "report"); exit != 0 {
		t.Errorf("exit %d", exit)
	}
	if err := next.Stop(t.Context(), "2", want.Key, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	see(t, next, want.Key, exited)
}
