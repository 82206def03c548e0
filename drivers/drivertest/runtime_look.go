package drivertest

import (
	"fmt"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

func (h Runtime) pull(t *testing.T) {
	rt := h.New(t)
	ref := h.image(t, Serve2)
	for range 2 {
		ok(t, rt.Pull(bound(t), ref, func(drivers.Progress) {
			// Whoever is told may look, or wait for one who does.
			_, _, err := rt.Observe(bound(t))
			ok(t, err)
		}))
		there, err := rt.Present(bound(t), ref)
		ok(t, err)
		if !there {
			t.Fatal("pulled and not present")
		}
	}
	if missing := h.Image(t, Missing); missing != "" {
		there, err := rt.Present(bound(t), missing)
		ok(t, err)
		if there {
			t.Error("an image nobody has is present")
		}
	}
}

// pullRefused is the case of an image that cannot be had.
func pullRefused(kind Image, class observed.Class) func(Runtime, *testing.T) {
	return func(h Runtime, t *testing.T) {
		rt := h.New(t)
		ref := h.image(t, kind)
		wantClass(t, rt.Pull(bound(t), ref, nil), class)
		there, err := rt.Present(bound(t), ref)
		ok(t, err)
		if there {
			t.Error("present after a pull that failed")
		}
	}
}

func (h Runtime) listens(t *testing.T) {
	rt := h.New(t)
	one := h.serve(t, rt, key(plans.Blue, "app"), "v1")
	two := h.serve(t, rt, key(plans.Green, "app"), "v2")
	for _, want := range []plans.Instance{one, two} {
		ok(t, rt.Start(bound(t), "1", want))
		h.answers(t, want.Ports["http"], want.Spec.Env["VERSION"])
	}
	ok(t, rt.Listens(bound(t), one.Key, one.Ports["http"]))
	ok(t, rt.Listens(bound(t), two.Key, two.Ports["http"]))
	wantClass(t, rt.Listens(bound(t), one.Key, two.Ports["http"]), observed.Conflict)
	wantClass(t, rt.Listens(bound(t), one.Key, h.Port(t)), observed.Conflict)
}

func (h Runtime) exec(t *testing.T) {
	rt := h.New(t)
	if !rt.Traits().Exec {
		t.Skip("the runtime has no exec")
	}
	want := h.serve(t, rt, key(plans.Blue, "app"), "v1")
	ok(t, rt.Start(bound(t), "1", want))
	h.answers(t, want.Ports["http"], "v1")
	// Serve, asked for with the argument "exec N", prints N and exits N.
	for code := range 2 {
		exit, out, err := rt.Exec(bound(t), want.Key, execCommand(code))
		ok(t, err)
		if exit != code {
			t.Errorf("exit %d (%q), want %d", exit, out, code)
		}
		if len(out) > 4<<10 {
			t.Errorf("%d bytes of output", len(out))
		}
	}
	ok(t, rt.Remove(bound(t), "2", want.Key))
	if _, _, err := rt.Exec(bound(t), want.Key, execCommand(0)); err == nil {
		t.Error("a command ran in an instance that is not there")
	}
}

// execCommand is what the image Serve must be able to run: it exits with code.
func execCommand(code int) []string { return []string{"/serve", "exit", fmt.Sprint(code)} }

func (h Runtime) imageHealth(t *testing.T) {
	rt := h.New(t)
	if !rt.Traits().ImageProbe {
		t.Skip("the runtime runs no image healthchecks")
	}
	want := h.serve(t, rt, key(plans.Blue, "app"), "v1")
	want.Spec.Health = &plans.Health{Image: true}
	ok(t, rt.Start(bound(t), "1", want))
	h.phase(t, rt, want.Key, observed.Running)
	h.until(t, func() string {
		verdict, text, err := rt.ImageHealth(bound(t), want.Key)
		ok(t, err)
		if verdict != observed.Healthy {
			return fmt.Sprintf("the verdict is %q: %s", verdict, text)
		}
		return ""
	})
}

func (h Runtime) prune(t *testing.T) {
	rt := h.New(t)
	want := h.serve(t, rt, key(plans.Blue, "app"), "v1")
	second := h.image(t, Serve2)
	ok(t, rt.Start(bound(t), "1", want))
	ok(t, rt.Pull(bound(t), second, nil))
	present := func(ref string) bool {
		there, err := rt.Present(bound(t), ref)
		ok(t, err)
		return there
	}
	ok(t, rt.Prune(bound(t), []string{want.Spec.Image, second}, []string{want.Tenant}))
	if !present(want.Spec.Image) || !present(second) {
		t.Error("an image that is to be kept is gone")
	}
	ok(t, rt.Prune(bound(t), []string{want.Spec.Image}, []string{want.Tenant}))
	if present(second) {
		t.Error("an image we pulled and nobody keeps is still there")
	}
	h.answers(t, want.Ports["http"], "v1")
}
