package durability

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/workshop"
)

// frozen is a plan whose ledger is copied while it is written, by a driver that
// copies, and is brought to rest for it.
func frozen(freeze, thaw, timeout string) plan {
	return plan{mode: "replay", soak: "1h, keep: stopped",
		volume: fmt.Sprintf(", freeze: {service: app, command: [/serve, %s], thaw: [/serve, %s], timeout: %s}", freeze, thaw, timeout)}
}

func TestFrozenProcess(t *testing.T) { copyAtRest(t, workshop.Process) }

func copyAtRest(t *testing.T, runtime string) {
	inGoodTime(t)
	w := newWorldOn(t, runtime, frozen("freeze", "thaw", "20s"))
	w.release("1.0", nil)
	w.pass(0)
	run := w.crowd()
	for n := range 3 {
		before := w.explain().Record.Data["ledger"].Dataset
		w.upgrade(fmt.Sprintf("2.%d", n))
		w.wasAtRest(before)
	}
	result := run.Stop()
	if result.Failed() > 0 {
		t.Errorf("%s: %q", result, result.Errors())
	}
	t.Log(result)
}

// wasAtRest wants a copy made for the upgrade from a dataset to be one of data at
// rest, and the writer on the dataset to have gone on.
func (w *world) wasAtRest(dataset string) {
	w.t.Helper()
	e := w.explain()
	origin := w.dataset(e.Record.Data["ledger"].Dataset).Origin
	if origin == "" {
		w.t.Fatalf("the ledger is no clone: %+v", e.Facts.Datasets)
	}
	copied := w.dataset(origin).Path
	ledger, err := os.ReadFile(filepath.Join(copied, "ledger"))
	w.must(err)
	seal, err := os.ReadFile(filepath.Join(copied, "seal"))
	w.must(err)
	if want := fmt.Sprintf("%x", sha256.Sum256(ledger)); string(seal) != want {
		w.t.Errorf("the ledger that was copied has digest %s, and was sealed with %s", want, seal)
	}
	if _, err := os.Stat(filepath.Join(w.dataset(dataset).Path, "seal")); !os.IsNotExist(err) {
		w.t.Errorf("the ledger that was copied is still sealed: %v", err)
	}
}
