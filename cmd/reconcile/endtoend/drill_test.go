package endtoend

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/load"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/stage"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// The drill of examples/rolling-canary: an upgrade by canary and batches, then
// broken versions and everything a person can say to them, with requests on all
// routes. None of them fails, and nobody who was not started is touched.
// The long form has all fifty tenants of the example.
func TestDrillProcess(t *testing.T) {
	t.Parallel()
	n, sizes, first, second := 9, nineSizes, 3, 6
	if *soak {
		n, sizes, first, second = 50, fiftySizes, 3, 19
	}
	w := newWorldOf(t, process, func(c *stage.Config) { c.Ports = shop.Ports(3) })
	d := newDrill(w, n, sizes, first, second)
	d.play()
	d.clear()
}

// On Docker a daemon is at work after the first pass, and passes are asked of it.
func TestDrillDocker(t *testing.T) {
	t.Parallel()
	d := newDrill(newWorld(t, engine), 12, twelveSizes, 4, 9)
	var daemon *stage.Daemon
	d.deployed = func() { daemon = d.daemon() }
	d.play()
	d.must(daemon.Stop())
	d.clear()
}

// The reconciler is killed at every kind of boundary as it comes, through the
// whole drill, and started again: each act ends as it does where nobody is killed.
// It is a long form: it dies at every single boundary of nine tenants, and at
// every kind of them with all fifty.
func TestDrillChainedKill(t *testing.T) {
	if !*soak {
		t.Skip("a long form (-soak); TestChainedKillProcess comes by the same boundaries with one tenant")
	}
	t.Parallel()
	t.Run("every kind, 9", func(t *testing.T) { chainedDrill(t, "kinds:", 9, nineSizes, 3, 6) })
	t.Run("every one, 9", func(t *testing.T) { chainedDrill(t, "chain:", 9, nineSizes, 3, 6) })
	t.Run("every kind, 50", func(t *testing.T) { chainedDrill(t, "kinds:", 50, fiftySizes, 3, 19) })
}

// The batches of a rollout of all, by the policy: 20 % rounded up, and none that
// reaches into the next ring.
const (
	nineSizes   = "canary:2 1:1 2:2 3:2 4:1 5:1"
	twelveSizes = "canary:2 1:2 2:3 3:3 4:2"
	fiftySizes  = "canary:2 1:8 2:10 3:10 4:10 5:10"
)

func chainedDrill(t *testing.T, mode string, n int, sizes string, first, second int) {
	var ends [][]chapter
	for _, mode := range []string{"note:", mode} {
		w := newWorldOf(t, process, func(c *stage.Config) { c.Bin, c.Ports = shop.Chaos(t), shop.Ports(3) })
		w.chaos = mode + filepath.Join(w.Dir, "boundaries")
		d := newDrill(w, n, sizes, first, second)
		d.play()
		d.clear()
		ends = append(ends, d.chapters)
		if mode != "note:" {
			t.Logf("%d tenants, killed %d times at %d kinds of boundaries", n, w.kills, len(names(t, w)))
		}
	}
	for i, want := range ends[0] {
		// What tenants of one batch do beside each other has no order.
		if got := ends[1][i]; sorted(got.text) != sorted(want.text) {
			t.Errorf("%s ends differently where the reconciler was killed:\n%s", want.name, differences(want.text, got.text))
		}
	}
}

// unproved are the two ways to say that a version never answered well. Of one that
// exits at once either its time is over first or its third start comes first: time
// in which nobody looked is not counted.
var unproved = regexp.MustCompile(`app (was not healthy within TIME.*|crashes in a loop: [0-9]+ starts.*)`)

func sorted(text string) string {
	lines := strings.Split(unproved.ReplaceAllString(text, "app did not prove itself"), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// drill is a fleet in the hands of somebody who practises.
type drill struct {
	*world
	fleet *edge
	sizes string // of the batches of a rollout of all
	// first and second are tenants in a row that broken versions are broken
	// for: the breaker trips at the first two, and at the second if it is told
	// to go on.
	first, second []string
	good, bad     string            // the image that all run, and one that is withheld
	seen          uint64            // the last event that was looked at
	told          []reconcile.Event // those of the act
	chapters      []chapter
	deployed      func() // called when all run for the first time; may be nil
}

// newDrill has n tenants, and those that fail by their places.
func newDrill(w *world, n int, sizes string, first, second int) *drill {
	e := edgeOf(w.t, w.name, n)
	return &drill{world: w, fleet: e, sizes: sizes, first: e.order[first : first+2], second: e.order[second : second+2]}
}

// play plays the whole drill.
func (d *drill) play() {
	d.act("first deployment", d.deploy)
	if d.deployed != nil {
		d.deployed()
	}
	crowd := d.crowd(d.fleet.order, load.Config{
		Workers: map[load.Kind]int{load.Get: 1, load.Post: 1, load.Fresh: 1, load.Stream: 1}, Think: 700 * time.Millisecond, Long: 150 * time.Millisecond})
	d.act("upgrade", d.upgrade)
	d.act("continue, a second trip, roll back", d.tripTwice)
	d.act("the broken target again", d.again)
	d.act("abort", d.abort)
	d.act("retry", d.retry)
	d.act("revert", d.revert)
	crowd.goHome()
}

func (d *drill) act(name string, play func()) {
	d.t.Helper()
	began := time.Now()
	play()
	d.t.Logf("%-35s %s", name, round(time.Since(began)))
}

// clear removes all tenants, and wants nothing to be left.
func (d *drill) clear() {
	d.t.Helper()
	d.commit("remove the tenants", d.fleet.removed(d.t, d.good))
	d.pass(0)
	d.nothingLeft()
}
