package caddy

import (
	"testing"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/drivertest"
)

func TestRouter(t *testing.T) {
	var last *running
	drivertest.RunRouter(t, drivertest.Router{
		New:     func(t *testing.T) drivers.Router { last = newProxy(t); return last.router },
		Send:    drivertest.HTTPSend(func(*testing.T) string { return last.address }),
		Reopen:  func(t *testing.T) drivers.Router { return last.open(t) },
		Restart: func(t *testing.T) { last.kill(t); last.start(t) },
	})
}
