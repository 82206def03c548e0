package fault

import (
	"context"
	"strings"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

type router struct {
	drivers.Router
	f Faults
}

// Router returns rt with faults.
func Router(rt drivers.Router, f Faults) drivers.Router { return router{rt, f} }

func (r router) Observe(ctx context.Context, tenants ...string) (routes map[string]observed.Route, controller string, err error) {
	err = r.f.call(ctx, "router.Observe", strings.Join(tenants, ","), func(ctx context.Context) (err error) {
		routes, controller, err = r.Router.Observe(ctx, tenants...)
		return err
	})
	return routes, controller, err
}

func (r router) Set(ctx context.Context, id string, entry plans.Entry, rev uint64) (uint64, error) {
	var now uint64
	err := r.f.call(ctx, "router.Set", entry.Tenant, func(ctx context.Context) error {
		n, err := r.Router.Set(ctx, id, entry, rev)
		now = n
		return err
	})
	if err != nil {
		return 0, err // nobody heard the revision either
	}
	return now, nil
}

func (r router) Delete(ctx context.Context, id string, tenant string, rev uint64) error {
	return r.f.call(ctx, "router.Delete", tenant, func(ctx context.Context) error {
		return r.Router.Delete(ctx, id, tenant, rev)
	})
}

func (r router) Check(ctx context.Context, host, path string) (a drivers.Answer, err error) {
	err = r.f.call(ctx, "router.Check", host+path, func(ctx context.Context) (err error) {
		a, err = r.Router.Check(ctx, host, path)
		return err
	})
	return a, err
}

func (r router) Cut(ctx context.Context, id string, tenant string, slot plans.Slot) (int, error) {
	var cut int
	err := r.f.call(ctx, "router.Cut", tenant, func(ctx context.Context) error {
		n, err := r.Router.Cut(ctx, id, tenant, slot)
		cut = n
		return err
	})
	if err != nil {
		return 0, err
	}
	return cut, nil
}

func (r router) Claim(ctx context.Context, controller string) error {
	return r.f.call(ctx, "router.Claim", controller, func(ctx context.Context) error {
		return r.Router.Claim(ctx, controller)
	})
}
