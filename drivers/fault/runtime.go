package fault

import (
	"context"
	"strings"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

type runtime struct {
	drivers.Runtime
	f Faults
}

// Runtime returns rt with faults.
func Runtime(rt drivers.Runtime, f Faults) drivers.Runtime { return runtime{rt, f} }

func (r runtime) Observe(ctx context.Context, tenants ...string) (seen []observed.Instance, foreign map[string][]string, err error) {
	err = r.f.call(ctx, "runtime.Observe", strings.Join(tenants, ","), func(ctx context.Context) (err error) {
		seen, foreign, err = r.Runtime.Observe(ctx, tenants...)
		return err
	})
	return seen, foreign, err
}

func (r runtime) Pull(ctx context.Context, image string, progress func(drivers.Progress)) error {
	return r.f.call(ctx, "runtime.Pull", image, func(ctx context.Context) error {
		return r.Runtime.Pull(ctx, image, progress)
	})
}

func (r runtime) Present(ctx context.Context, image string) (there bool, err error) {
	err = r.f.call(ctx, "runtime.Present", image, func(ctx context.Context) (err error) {
		there, err = r.Runtime.Present(ctx, image)
		return err
	})
	return there, err
}

func (r runtime) Start(ctx context.Context, id string, want plans.Instance) error {
	return r.f.call(ctx, "runtime.Start", want.Key.String(), func(ctx context.Context) error {
		return r.Runtime.Start(ctx, id, want)
	})
}

func (r runtime) Stop(ctx context.Context, id string, key plans.Key, grace time.Duration) error {
	return r.f.call(ctx, "runtime.Stop", key.String(), func(ctx context.Context) error {
		return r.Runtime.Stop(ctx, id, key, grace)
	})
}

func (r runtime) Remove(ctx context.Context, id string, key plans.Key) error {
	return r.f.call(ctx, "runtime.Remove", key.String(), func(ctx context.Context) error {
		return r.Runtime.Remove(ctx, id, key)
	})
}

func (r runtime) SetRouted(ctx context.Context, id string, key plans.Key, routed bool) error {
	return r.f.call(ctx, "runtime.SetRouted", key.String(), func(ctx context.Context) error {
		return r.Runtime.SetRouted(ctx, id, key, routed)
	})
}

func (r runtime) Exec(ctx context.Context, key plans.Key, command []string) (exit int, out string, err error) {
	err = r.f.call(ctx, "runtime.Exec", key.String(), func(ctx context.Context) (err error) {
		exit, out, err = r.Runtime.Exec(ctx, key, command)
		return err
	})
	return exit, out, err
}

func (r runtime) Listens(ctx context.Context, key plans.Key, port int) error {
	return r.f.call(ctx, "runtime.Listens", key.String(), func(ctx context.Context) error {
		return r.Runtime.Listens(ctx, key, port)
	})
}

func (r runtime) ImageHealth(ctx context.Context, key plans.Key) (v observed.Verdict, text string, err error) {
	err = r.f.call(ctx, "runtime.ImageHealth", key.String(), func(ctx context.Context) (err error) {
		v, text, err = r.Runtime.ImageHealth(ctx, key)
		return err
	})
	return v, text, err
}

func (r runtime) Logs(ctx context.Context, key plans.Key, lines int) (text string, err error) {
	err = r.f.call(ctx, "runtime.Logs", key.String(), func(ctx context.Context) (err error) {
		text, err = r.Runtime.Logs(ctx, key, lines)
		return err
	})
	return text, err
}

func (r runtime) Watch(ctx context.Context, changed func(tenant string)) error {
	return r.f.call(ctx, "runtime.Watch", "", func(ctx context.Context) error {
		return r.Runtime.Watch(ctx, changed)
	})
}

func (r runtime) Prune(ctx context.Context, keep []string, tenants []string) error {
	return r.f.call(ctx, "runtime.Prune", "", func(ctx context.Context) error {
		return r.Runtime.Prune(ctx, keep, tenants)
	})
}
