package drivertest

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Clock is how a suite waits. The zero Clock is the wall clock.
type Clock struct {
	// Tick lets a little time pass between two looks; nil sleeps 10 ms.
	Tick func()
	// Patience is the number of looks before a suite gives up; 0 is 2,000,
	// which is 20 s by the wall clock.
	Patience int
}

func (c Clock) tick() {
	if c.Tick != nil {
		c.Tick()
		return
	}
	time.Sleep(10 * time.Millisecond)
}

// until polls until look returns "", or fails the test with its last word.
func (c Clock) until(t *testing.T, look func() string) {
	t.Helper()
	n := c.Patience
	if n == 0 {
		n = 2000
	}
	last := ""
	for range n {
		if last = look(); last == "" {
			return
		}
		c.tick()
	}
	t.Fatalf("still, after %d looks: %s", n, last)
}

// bound returns a context that ends with the test, or after a minute.
func bound(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// ok fails the test if err is not nil.
func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantClass fails the test unless err is a *observed.Problem of the class.
func wantClass(t *testing.T, err error, class observed.Class) *observed.Problem {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one of class %s", class)
	}
	p := observed.Wrap("", "", "none", err, "")
	if p.Class != class {
		t.Fatalf("class of %q is %s, want %s", err, p.Class, class)
	}
	return p
}

// FreePort returns a loopback port nobody listened on a moment ago.
func FreePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
