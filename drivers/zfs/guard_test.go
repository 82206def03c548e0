package zfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

func openScripted(t *testing.T, limit time.Duration) *Driver {
	t.Helper()
	return must[*Driver](t)(New(Config{Roots: []string{"tank/fleet"}, Mounts: t.TempDir(), Owner: owner, Limit: limit}))
}

// A command that is killed at its deadline makes the pool unknown, and nothing else.
func TestDeadline(t *testing.T) {
	s := scripted(t, answer{Hangs: true})
	d := openScripted(t, 2*time.Second)
	_, err := d.Observe(t.Context())
	class(t, err, observed.Environment, "zpool status tank")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("stopped by a person"))
	_, err = d.Observe(ctx)
	class(t, err, observed.Transient, "stopped by a person")
	s.say(answer{})
	if all, err := d.Observe(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("the pool answers again, and a look at it gives %v, %v", all, err)
	}
}

// A call that cannot be killed, as those of the library or one in the kernel, is
// left behind, and until it ends nobody else waits for that pool.
func TestStuck(t *testing.T) {
	s := scripted(t, answer{Begins: "create", Hangs: true}, answer{})
	d := openScripted(t, 2*time.Second)
	want := (&bench{root: "tank/fleet"}).order("blue", "a1", volume("tank/fleet"))
	_, err := d.Create(t.Context(), "1", want)
	class(t, err, observed.Environment, "zpool status tank")
	s.calls()
	began := time.Now()
	_, err = d.Observe(t.Context())
	class(t, err, observed.Environment, "hangs since")
	class(t, d.Destroy(t.Context(), "2", "tank/fleet/a"), observed.Environment, "zpool clear tank")
	if n := s.calls(); len(n) != 0 || time.Since(began) > killed {
		t.Errorf("calls on a stuck pool ran %q and took %s", n, time.Since(began))
	}
	if err := d.guard.run(t.Context(), time.Second, "other", "zfs list", func(context.Context) error { return nil }); err != nil {
		t.Errorf("another pool is refused too: %v", err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, err = d.Observe(t.Context()); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the stuck call ended, and the pool is still refused: %v", err)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// Whatever language this process was started in, zfs is spoken to in English, also
// by the library: what it says is told apart by its words.
func TestEnglish(t *testing.T) {
	scripted(t, answer{Begins: "get"}, answer{Begins: "create", Err: "cannot create 'x': out of space"})
	t.Setenv("LC_ALL", "de_DE.UTF-8")
	d := openScripted(t, time.Minute)
	for _, size := range []string{"", "1G"} {
		v := volume("tank/fleet")
		v.Size = size
		_, err := d.Create(t.Context(), "1", (&bench{root: "tank/fleet"}).order("blue", "a1", v))
		class(t, err, observed.Environment, "free space in the pool")
	}
}
