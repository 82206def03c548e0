package process_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

func TestStopping(t *testing.T) {
	t.Parallel()
	t.Run("signal", func(t *testing.T) {
		rt := host(t)
		want := guest(t, rt, "app", "sleep")
		want.Spec.StopSignal = "usr1"
		start(t, rt, want)
		says(t, rt, want.Key, "ready")
		if err := rt.Stop(t.Context(), "2", want.Key, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		says(t, rt, want.Key, "got user defined signal 1")
		if i := see(t, rt, want.Key, exited); i.Exit != 0 {
			t.Errorf("exit %d", i.Exit)
		}
	})
	t.Run("deaf", func(t *testing.T) {
		rt := host(t)
		want := guest(t, rt, "app", "deaf")
		start(t, rt, want)
		says(t, rt, want.Key, "ready")
		began := time.Now()
		if err := rt.Stop(t.Context(), "2", want.Key, 300*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 300*time.Millisecond || took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		if i := see(t, rt, want.Key, exited); i.Exit != 137 {
			t.Errorf("exit %d, want 137", i.Exit)
		}
	})
	// Who ordered the stop is gone before it is done: whoever starts it next does
	// not take what is about to end for what was started.
	t.Run("orphaned", func(t *testing.T) {
		rt := host(t)
		want := guest(t, rt, "app", "deaf")
		start(t, rt, want)
		says(t, rt, want.Key, "ready")
		first := see(t, rt, want.Key, running).Started
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if err := rt.Stop(ctx, "2", want.Key, time.Second); err == nil {
			t.Fatal("it was stopped in time")
		}
		start(t, rt, want)
		if i := see(t, rt, want.Key, running); !i.Started.After(first) {
			t.Error("the one that ends was taken for started")
		}
	})
	t.Run("brood", func(t *testing.T) {
		rt := host(t)
		want := guest(t, rt, "app", "brood", "3", "stay")
		start(t, rt, want)
		says(t, rt, want.Key, "brooded")
		if n := len(processes(t, rootOf(t))); n != 5 {
			t.Fatalf("%d processes, want the shim, the command and three it left", n)
		}
		if err := rt.Stop(t.Context(), "2", want.Key, 5*time.Second); err != nil {
			t.Fatal(err)
		}
		if left := processes(t, rootOf(t)); len(left) != 0 {
			t.Errorf("left: %+v", left)
		}
	})
	t.Run("job leaves children", func(t *testing.T) {
		rt := host(t)
		want := guest(t, rt, "migrate", "brood", "2")
		want.Spec.Job = &plans.Job{At: plans.BeforeStart}
		start(t, rt, want)
		if i := see(t, rt, want.Key, exited); i.Exit != 0 {
			t.Errorf("exit %d", i.Exit)
		}
		for end := time.Now().Add(10 * time.Second); len(processes(t, rootOf(t))) > 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("left: %+v", processes(t, rootOf(t)))
			}
		}
	})
}

// A shim that is killed takes everything with it.
func TestKilledShim(t *testing.T) {
	t.Parallel()
	rt := host(t)
	want := guest(t, rt, "app", "brood", "3", "stay")
	want.Routed = true
	start(t, rt, want)
	says(t, rt, want.Key, "brooded")
	for _, p := range processes(t, rootOf(t)) {
		if p.shim {
			kill(t, p.pid)
		}
	}
	if left := processes(t, rootOf(t)); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
	if i := see(t, rt, want.Key, exited); i.Exit != 255 || !i.Routed {
		t.Errorf("seen as %+v", i)
	}
	start(t, rt, want)
	says(t, rt, want.Key, "brooded")
}

// A shim that does not answer is killed, and the instance ends all the same.
func TestHangingShim(t *testing.T) {
	t.Parallel()
	rt := host(t)
	rt.SetHangs(200 * time.Millisecond)
	want := guest(t, rt, "app", "sleep")
	start(t, rt, want)
	for _, p := range processes(t, rootOf(t)) {
		if p.shim {
			if err := unix.Kill(p.pid, unix.SIGSTOP); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := rt.Remove(t.Context(), "2", want.Key); err != nil {
		t.Fatal(err)
	}
	if left := processes(t, rootOf(t)); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
}

func TestRestartPolicy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		restart string
		code    string
		again   bool
	}{
		{"", "0", true}, {"", "3", true}, {"onFailure", "0", false}, {"onFailure", "3", true}, {"never", "3", false},
	} {
		t.Run(fmt.Sprintf("%s after %s", c.restart, c.code), func(t *testing.T) {
			rt := host(t)
			want := guest(t, rt, "app", "quick", c.code, "10ms")
			want.Spec.Restart, want.Routed = c.restart, true
			start(t, rt, want)
			if !c.again {
				if i := see(t, rt, want.Key, exited); i.Restarts != 0 || fmt.Sprint(i.Exit) != c.code {
					t.Errorf("seen as %+v", i)
				}
				return
			}
			see(t, rt, want.Key, func(i observed.Instance) bool { return i.Restarts >= 2 })
			// No longer routed: it ends with the run, or the wait, it is in.
			if err := rt.SetRouted(t.Context(), "2", want.Key, false); err != nil {
				t.Fatal(err)
			}
			see(t, rt, want.Key, exited)
		})
	}
}

// Whoever watches hears of a shim's end, also where it could say nothing.
func TestWatchKilled(t *testing.T) {
	t.Parallel()
	rt := host(t)
	want := guest(t, rt, "app", "sleep")
	start(t, rt, want)
	ctx, stop := context.WithCancel(t.Context())
	news := make(chan string, 100)
	done := make(chan error, 1)
	go func() { done <- rt.Watch(ctx, func(tenant string) { news <- tenant }) }()
	// A start that changes the flag is news; once it is heard, the watch is up.
	heard := false
	for end := time.Now().Add(20 * time.Second); !heard && time.Now().Before(end); {
		want.Routed = !want.Routed
		start(t, rt, want)
		select {
		case <-news:
			heard = true
		case <-time.After(20 * time.Millisecond):
		}
	}
	if !heard {
		t.Fatal("nothing was ever heard")
	}
	for quiet := false; !quiet; {
		select {
		case <-news:
		case <-time.After(300 * time.Millisecond):
			quiet = true
		}
	}
	for _, p := range processes(t, rootOf(t)) {
		if p.shim {
			kill(t, p.pid)
		}
	}
	select {
	case tenant := <-news:
		if tenant != want.Tenant {
			t.Errorf("heard of %s", tenant)
		}
		if i := see(t, rt, want.Key, exited); i.Exit != 255 {
			t.Errorf("seen as %+v", i)
		}
	case <-time.After(20 * time.Second):
		t.Error("the end of a shim was not heard of")
	}
	stop()
	<-done
}

// A port another process holds is not taken for the instance's own.
func TestListensOther(t *testing.T) {
	t.Parallel()
	rt := host(t)
	want := guest(t, rt, "app", "sleep")
	start(t, rt, want)
	for _, addr := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::]:0"} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Logf("%s: %v", addr, err)
			continue
		}
		err = rt.Listens(t.Context(), want.Key, l.Addr().(*net.TCPAddr).Port)
		l.Close()
		me := fmt.Sprintf("process %d", os.Getpid())
		if observed.ClassOf(err) != observed.Conflict || !strings.Contains(err.Error(), me) {
			t.Errorf("%s: %v, want a conflict that names %s", addr, err, me)
		}
	}
}
