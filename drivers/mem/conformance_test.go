package mem_test

import (
	"testing"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/drivertest"
	"github.com/gitops-fleet/reconcile/drivers/mem"
	"github.com/gitops-fleet/reconcile/drivers/mem/memtest"
)

func bare[T any](d T) T { return d }

func TestRuntime(t *testing.T) {
	drivertest.RunRuntime(t, memtest.Runtime(mem.AllTraits, bare))
}

// A runtime whose instances do not come back by themselves, on the host's network.
func TestRuntimeWithoutEngine(t *testing.T) {
	drivertest.RunRuntime(t, memtest.Runtime(drivers.Traits{Name: "mem"}, bare))
}

func TestRouter(t *testing.T) { drivertest.RunRouter(t, memtest.Router(bare)) }

func TestStorage(t *testing.T) { drivertest.RunStorage(t, memtest.Storage(bare)) }

func TestProber(t *testing.T) { drivertest.RunProber(t, memtest.Prober(bare)) }
