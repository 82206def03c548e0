package drivertest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

func (h Runtime) jobOnce(t *testing.T) {
	rt := h.New(t)
	want := h.job(t, rt, key(plans.Green, "migrate"), Exit0, "a1")
	ok(t, rt.Start(bound(t), "1", want))
	first := h.phase(t, rt, want.Key, observed.Exited)
	if !first.Job {
		t.Error("not seen as a job")
	}
	ok(t, rt.Start(bound(t), "1", want))
	again := h.phase(t, rt, want.Key, observed.Exited)
	if again.ID != first.ID || !again.Started.Equal(first.Started) || again.Restarts != 0 {
		t.Errorf("the job ran again: %+v, was %+v", again, first)
	}
	want.Attempt = "a2"
	wantClass(t, rt.Start(bound(t), "2", want), observed.Conflict)
	ok(t, rt.Remove(bound(t), "3", want.Key))
	ok(t, rt.Start(bound(t), "4", want))
	if second := h.phase(t, rt, want.Key, observed.Exited); second.Attempt != "a2" {
		t.Errorf("attempt is %s, want a2", second.Attempt)
	}
}

func (h Runtime) jobExit(t *testing.T) {
	rt := h.New(t)
	for kind, code := range map[Image]int{Exit0: 0, Exit3: 3} {
		want := h.job(t, rt, key(plans.Green, string(kind)), kind, "a1")
		want.Routed = true // a job is never started again by the engine
		ok(t, rt.Start(bound(t), "1", want))
		if seen := h.phase(t, rt, want.Key, observed.Exited); seen.Exit != code || seen.Restarting {
			t.Errorf("%s: exit %d, restarting %v, want %d, false", kind, seen.Exit, seen.Restarting, code)
		}
	}
}

func (h Runtime) setRouted(t *testing.T) {
	rt := h.New(t)
	want := h.serve(t, rt, key(plans.Blue, "app"), "v1")
	ok(t, rt.Start(bound(t), "1", want))
	before := h.phase(t, rt, want.Key, observed.Running)
	for _, routed := range []bool{true, true, false, false} {
		ok(t, rt.SetRouted(bound(t), "2", want.Key, routed))
		now := h.phase(t, rt, want.Key, observed.Running)
		if now.Routed != routed || now.ID != before.ID || !now.Started.Equal(before.Started) {
			t.Errorf("after SetRouted(%v): %+v, was %+v", routed, now, before)
		}
	}
}

func (h Runtime) restarts(t *testing.T) {
	if h.Crash == nil {
		t.Skip("the harness cannot crash an instance")
	}
	rt := h.New(t)
	want := h.serve(t, rt, key(plans.Blue, "app"), "v1")
	ok(t, rt.Start(bound(t), "1", want))
	h.answers(t, want.Ports["http"], "v1")
	h.Crash(t, want.Key)
	dead := h.phase(t, rt, want.Key, observed.Exited)
	if dead.Restarting || dead.Exit == 0 {
		t.Errorf("a crashed instance that is not routed: restarting %v, exit %d, want false, not 0", dead.Restarting, dead.Exit)
	}
	want.Routed = true
	ok(t, rt.Start(bound(t), "2", want))
	h.answers(t, want.Ports["http"], "v1")
	before := h.phase(t, rt, want.Key, observed.Running)
	h.Crash(t, want.Key)
	if !rt.Traits().Restarts {
		h.phase(t, rt, want.Key, observed.Exited)
		return
	}
	h.until(t, func() string {
		if i := h.see(t, rt, want.Key); i == nil || i.Phase != observed.Running || !i.Started.After(before.Started) {
			return fmt.Sprintf("the engine has not started it again: %+v", i)
		}
		return ""
	})
	h.answers(t, want.Ports["http"], "v1")
	if now := h.see(t, rt, want.Key); now.Restarts <= before.Restarts {
		t.Errorf("%d restarts, before the crash %d", now.Restarts, before.Restarts)
	}
}

func (h Runtime) reopen(t *testing.T) {
	if h.Reopen == nil {
		t.Skip("the harness cannot reopen")
	}
	rt := h.New(t)
	want := h.serve(t, rt, key(plans.Blue, "app"), "v1")
	job := h.job(t, rt, key(plans.Blue, "migrate"), Exit3, "a1")
	ok(t, rt.Start(bound(t), "1", want))
	ok(t, rt.Start(bound(t), "2", job))
	h.answers(t, want.Ports["http"], "v1")
	done := h.phase(t, rt, job.Key, observed.Exited)
	before := h.phase(t, rt, want.Key, observed.Running)

	rt = h.Reopen(t)
	now := h.phase(t, rt, want.Key, observed.Running)
	if now.ID != before.ID || !now.Started.Equal(before.Started) || now.Digest != before.Digest {
		t.Errorf("a new process sees %+v, the old one saw %+v", now, before)
	}
	ok(t, rt.Start(bound(t), "1", want))
	ok(t, rt.Start(bound(t), "2", job))
	if i := h.phase(t, rt, job.Key, observed.Exited); i.ID != done.ID || i.Exit != 3 {
		t.Errorf("a new process sees the job as %+v, it was %+v", i, done)
	}
	h.answers(t, want.Ports["http"], "v1")
	ok(t, rt.Stop(bound(t), "3", want.Key, 5*time.Second))
	h.phase(t, rt, want.Key, observed.Exited)
	ok(t, rt.Remove(bound(t), "4", want.Key))
	if i := h.see(t, rt, want.Key); i != nil {
		t.Errorf("still there: %+v", i)
	}
}

func (h Runtime) reboot(t *testing.T) {
	if h.Reboot == nil {
		t.Skip("the harness cannot reboot")
	}
	rt := h.New(t)
	routed := h.serve(t, rt, key(plans.Blue, "app"), "v1")
	routed.Routed = true
	idle := h.serve(t, rt, key(plans.Green, "app"), "v2")
	stopped := h.serve(t, rt, key(plans.Blue, "other"), "v3")
	stopped.Routed = true
	for _, want := range []plans.Instance{routed, idle, stopped} {
		ok(t, rt.Start(bound(t), "1", want))
		h.answers(t, want.Ports["http"], want.Spec.Env["VERSION"])
	}
	ok(t, rt.Stop(bound(t), "2", stopped.Key, 5*time.Second))

	rt = h.Reboot(t)
	if rt.Traits().Restarts {
		h.answers(t, routed.Ports["http"], "v1")
	} else {
		h.phase(t, rt, routed.Key, observed.Exited)
		ok(t, rt.Start(bound(t), "3", routed))
		h.answers(t, routed.Ports["http"], "v1")
	}
	h.phase(t, rt, idle.Key, observed.Exited)
	h.phase(t, rt, stopped.Key, observed.Exited)
	ok(t, rt.Start(bound(t), "4", idle))
	h.answers(t, idle.Ports["http"], "v2")
}

func (h Runtime) foreign(t *testing.T) {
	if h.Foreign == nil {
		t.Skip("the harness cannot make foreign objects")
	}
	rt := h.New(t)
	want := h.serve(t, rt, key(plans.Blue, "app"), "v1")
	untouched := h.Foreign(t, want.Key)
	p := wantClass(t, rt.Start(bound(t), "1", want), observed.Refused)
	if p.Hint == "" {
		t.Error("a person is not told what to do about a foreign object")
	}
	seen, foreign, err := rt.Observe(bound(t), want.Tenant)
	ok(t, err)
	if len(seen) != 0 {
		t.Errorf("a foreign object is observed as ours: %+v", seen)
	}
	if len(foreign[want.Tenant]) != 1 {
		t.Errorf("foreign objects of the tenant: %q, want one", foreign[want.Tenant])
	}
	for name, call := range map[string]func() error{
		"stop":   func() error { return rt.Stop(bound(t), "2", want.Key, time.Second) },
		"remove": func() error { return rt.Remove(bound(t), "3", want.Key) },
		"routed": func() error { return rt.SetRouted(bound(t), "4", want.Key, true) },
	} {
		if err := call(); observed.ClassOf(err) != observed.Refused {
			t.Errorf("%s of a foreign object: %v, want it refused", name, err)
		}
	}
	ok(t, rt.Prune(bound(t), nil, nil))
	ok(t, untouched())
}

func (h Runtime) watch(t *testing.T) {
	rt := h.New(t)
	want := h.serve(t, rt, key(plans.Blue, "app"), "v1")
	ctx, stop := context.WithCancel(bound(t))
	news := make(chan string, 1000)
	done := make(chan error, 1)
	go func() { done <- rt.Watch(ctx, func(tenant string) { news <- tenant }) }()
	// A watch is a hint: what happens before it is up may be missed, so the
	// suite moves the instance until it hears of it.
	h.until(t, func() string {
		ok(t, rt.Start(bound(t), "1", want))
		ok(t, rt.Stop(bound(t), "2", want.Key, time.Second))
		select {
		case tenant := <-news:
			if tenant != want.Tenant {
				return "heard of tenant " + tenant
			}
			return ""
		default:
			return "heard nothing"
		}
	})
	stop()
	<-done
}

func (h Runtime) logs(t *testing.T) {
	rt := h.New(t)
	want := h.job(t, rt, key(plans.Blue, "migrate"), Exit3, "a1")
	ok(t, rt.Start(bound(t), "1", want))
	h.phase(t, rt, want.Key, observed.Exited)
	h.until(t, func() string {
		text, err := rt.Logs(bound(t), want.Key, 10)
		ok(t, err)
		if !strings.Contains(text, "broken") {
			return fmt.Sprintf("the log is %q, want it to hold \"broken\"", text)
		}
		return ""
	})
}
