package zfs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// pool is one that roots of the driver are in. Each is looked at by itself: one
// that is away or hangs says nothing of the others.
type pool struct {
	name  string
	roots []string
	known memory

	mu    sync.Mutex    // guards what follows
	asked bool          // it was looked at before
	took  time.Duration // to look at it when it was seen last
	late  time.Time     // when the look began that nobody waits for any more; zero: none
}

// patience is the least that the others wait for a pool that was looked at before,
// and slower how many times longer than then its look may take. A look that takes
// longer is not ended for it: should it succeed, the next ones have more time.
const (
	patience = 5 * time.Second
	slower   = 4
)

// poolsOf are the pools of some roots, by name.
func poolsOf(roots []string) []*pool {
	var all []*pool
	for _, r := range roots {
		i := slices.IndexFunc(all, func(p *pool) bool { return p.name == poolOf(r) })
		if i < 0 {
			i, all = len(all), append(all, &pool{name: poolOf(r)})
		}
		all[i].roots = append(all[i].roots, r)
	}
	slices.SortFunc(all, func(a, b *pool) int { return strings.Compare(a.name, b.name) })
	return all
}

// pool returns that of a name below a root; of any other name one without roots.
func (d *Driver) pool(name string) *pool {
	for _, p := range d.pools {
		if p.name == poolOf(name) {
			return p
		}
	}
	return &pool{name: poolOf(name)}
}

// look carries out a look at the pool, and gives it up before ctx ends where the
// others should not wait for it. As long as the one that was given up goes on,
// every other is refused at once.
func (p *pool) look(ctx context.Context, full bool, do func(context.Context) ([]observed.Dataset, error)) ([]observed.Dataset, error) {
	p.mu.Lock()
	late, bound := p.late, max(patience, slower*p.took)
	if !p.asked {
		bound = time.Hour // ctx ends before
	}
	p.asked = true
	p.mu.Unlock()
	if !late.IsZero() {
		return nil, hanging(p.name, fmt.Errorf("the look that began at %s has no answer yet", late.Format(time.TimeOnly)))
	}
	free, end := context.WithCancel(context.WithoutCancel(ctx))
	type result struct {
		seen []observed.Dataset
		err  error
	}
	done, over, began := make(chan result, 1), false, time.Now()
	go func() {
		defer end()
		seen, err := do(free)
		took := time.Since(began)
		p.mu.Lock()
		defer p.mu.Unlock()
		if err == nil && (full || took > p.took) {
			p.took = took
		}
		over, p.late = true, time.Time{}
		done <- result{seen, err}
	}()
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case r := <-done:
		return r.seen, r.err
	case <-timer.C:
	case <-ctx.Done():
		if !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			end()
			return nil, context.Cause(ctx)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if over {
		r := <-done
		return r.seen, r.err
	}
	p.late = began
	return nil, hanging(p.name, fmt.Errorf("no answer within %s", time.Since(began).Round(time.Millisecond)))
}

var (
	_ drivers.Parted         = (*Driver)(nil)
	_ drivers.VolumesChecker = (*Driver)(nil)
)

// Part implements drivers.Parted: the pool of the source.
func (d *Driver) Part(v plans.Volume) string {
	if v.Source == "" {
		return poolOf(d.cfg.Roots[0])
	}
	return poolOf(v.Source)
}

// PartOf implements drivers.Parted.
func (d *Driver) PartOf(dataset string) string { return poolOf(dataset) }

// CheckVolumes implements drivers.VolumesChecker: one snapshot is of one pool.
func (d *Driver) CheckVolumes(_ context.Context, vs map[string]plans.Volume) error {
	var all []string
	first, several := "", false
	for name, v := range plans.Sorted(vs) {
		in := d.Part(v)
		if first == "" {
			first = in
		}
		several = several || in != first
		all = append(all, name+" in "+in)
	}
	if !several {
		return nil
	}
	return refused("check", "volumes", "they are in different pools ("+strings.Join(all, ", ")+"), and no snapshot over two pools is of one moment",
		"give them sources in one pool; a volume that is neither cloned nor snapshotted on an upgrade may be in another")
}
