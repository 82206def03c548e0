package outcomes

import (
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/images"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/stage"
)

// An image that is not there fails the one who wants it at once; what serves
// goes on and the other tenants are not moved to it.
func imageMissing(t *testing.T)       { missing(t, process) }
func imageMissingDocker(t *testing.T) { missing(t, engine) }

func missing(t *testing.T, runtime string) {
	w := newWorld(t, runtime, nil)
	w.settle(fleet{tenants: []string{"ant", "bee"}})
	before, bees := w.started("ant"), w.started("bee")
	good := w.fleet.image
	name, _, _ := strings.Cut(good, "@")
	w.fleet.image = name + "@sha256:" + strings.Repeat("5eed", 16)
	w.template("an image nobody pushed")
	w.pass(3, "blocked  ant: ", w.fleet.image, "look whether the image was pushed", "retry: try the same target again")
	w.is(outcome{state: "heldBack", reason: "failed", serves: "1.0", says: []string{w.fleet.image, "look whether the image was pushed"}})
	w.is(outcome{tenant: "bee", state: "waiting", serves: "1.0", says: []string{"ant"}})
	w.same("ant", before)
	w.same("bee", bees)
	w.upgrade("1.1")
	w.pass(0)
	w.answers("ant", "1.1")
	w.answers("bee", "1.1")
}

// A registry that is down is nobody's fault: nothing is rolled back, the old
// version serves, and when it is back the daemon goes on by itself.
func registryDown(t *testing.T)       { down(t, process) }
func registryDownDocker(t *testing.T) { down(t, engine) }

func down(t *testing.T, runtime string) {
	registry, err := images.NewRegistry("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, runtime, func(c *stage.Config) { c.Registry = registry })
	w.settle(fleet{})
	w.daemon()
	before := w.started("ant")
	w.fleet.image = w.image("1.1")
	if err := registry.Close(); err != nil {
		t.Fatal(err)
	}
	w.template("upgrade to 1.1")
	w.comes(outcome{state: "unknown", serves: "1.0", says: []string{registry.Addr, "nobody's release is to blame", "tries again at "}})
	w.same("ant", before)
	if w.Registry, err = images.NewRegistry(registry.Addr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Registry.Close() })
	if again := w.image("1.1"); again != w.fleet.image {
		t.Fatalf("the same image is %s, and was %s", again, w.fleet.image)
	}
	w.comes(outcome{state: "converged", serves: "1.1"})
}

// An image for another machine is refused by name before anything moves.
func otherPlatform(t *testing.T)       { platform(t, process) }
func otherPlatformDocker(t *testing.T) { platform(t, engine) }

func platform(t *testing.T, runtime string) {
	w := newWorld(t, runtime, nil)
	w.settle(fleet{})
	before := w.started("ant")
	w.fleet.image = w.made("1.1", images.Spec{Architecture: "s390x"})
	w.template("an image for a mainframe")
	w.pass(3, "blocked  ant: ", w.fleet.image, "s390x", "this host is linux/", "→ build and push it for linux/")
	w.is(outcome{state: "heldBack", reason: "failed", serves: "1.0", says: []string{"s390x", "this host is linux/", "build and push it for linux/"}})
	w.same("ant", before)
}
