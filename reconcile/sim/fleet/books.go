package fleet

import (
	"time"

	"github.com/gitops-fleet/reconcile/reconcile"
)

// Books are the checkers' own records.
type Books struct{}

func (b *Books) planned(time.Time, reconcile.RolloutPlan) {}
func (b *Books) heard(time.Time, *reconcile.Report)       {}
func (b *Books) decided(*world, *reconcile.RolloutDelta)  {}
