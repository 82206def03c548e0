package zfs

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Observe implements drivers.Storage: of each pool one zfs command for all
// datasets, one for all snapshots, and one for the holds where there are any. Named
// tenants are looked for where the last look at everything found them, by one
// command for both.
func (d *Driver) Observe(ctx context.Context, tenants ...string) ([]observed.Dataset, error) {
	if len(d.pools) == 1 {
		return d.observe(ctx, d.pools[0], tenants)
	}
	var (
		mu   sync.Mutex // guards what follows
		all  []observed.Dataset
		away = map[string]*observed.Problem{}
		wg   sync.WaitGroup
	)
	for _, p := range d.pools {
		wg.Go(func() {
			seen, err := p.look(ctx, len(tenants) == 0, func(ctx context.Context) ([]observed.Dataset, error) {
				return d.observe(ctx, p, tenants)
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				away[p.name] = observed.Wrap("observe", p.name, observed.Environment, err, "")
			}
			all = append(all, seen...)
		})
	}
	wg.Wait()
	slices.SortFunc(all, func(a, b observed.Dataset) int { return strings.Compare(a.ID, b.ID) })
	if len(away) > 0 {
		return all, &observed.Partial{Parts: away}
	}
	return all, nil
}

// observe looks at one pool.
func (d *Driver) observe(ctx context.Context, p *pool, tenants []string) ([]observed.Dataset, error) {
	if len(tenants) > 0 {
		if below, known := p.known.parents(tenants); known {
			if len(below) == 0 {
				return nil, nil
			}
			seen, err := d.see(ctx, p, below, tenants)
			if err == nil && p.known.complete(tenants, seen) {
				return seen, nil
			}
			// Something is gone from where it was: look where it went.
		}
	}
	all, err := d.see(ctx, p, p.roots, nil)
	if err != nil {
		return nil, err
	}
	p.known.learn(all)
	return of(tenants, all), nil
}

// of are the datasets of the tenants, all if none are named.
func of(tenants []string, all []observed.Dataset) []observed.Dataset {
	if len(tenants) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(s observed.Dataset) bool { return !slices.Contains(tenants, s.Tenant) })
}

// see returns what is ours below some datasets of a pool, of the tenants.
func (d *Driver) see(ctx context.Context, p *pool, below, tenants []string) ([]observed.Dataset, error) {
	what := everything
	if len(tenants) > 0 {
		what = few
	}
	s, err := d.survey(ctx, below, what)
	if err != nil {
		return nil, problem("observe", strings.Join(below, ", "), err)
	}
	if s.table, err = mounts(); err != nil {
		return nil, problem("observe", "mount tables", err)
	}
	if !d.cfg.Look && d.remount(ctx, s) {
		if s.table, err = mounts(); err != nil {
			return nil, problem("observe", "mount tables", err)
		}
	}
	if err := d.holds(ctx, p.name, s); err != nil {
		return nil, problem("observe", "holds", err)
	}
	var out []observed.Dataset
	for _, e := range s.datasets {
		if d.ours(e) {
			out = append(out, d.live(s, e))
			p.known.cloned(e.name, parentOf(e.origin()))
		}
	}
	for _, e := range s.snapshots {
		if d.oursSnapshot(e) && d.ours(s.named[parentOf(e.name)]) {
			out = append(out, d.past(s, e))
		}
	}
	out = of(tenants, out)
	slices.SortFunc(out, func(a, b observed.Dataset) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// survey is one look at all that lies below some datasets of a pool.
type survey struct {
	datasets, snapshots []*entry
	named               map[string]*entry   // of datasets
	hangs               map[string][]string // what lies below a dataset: its snapshots, and datasets
	held                map[string][]string // tags, by snapshot
	table               []mount
	problems            map[string]*observed.Problem // why a dataset is not mounted
}

// extent is what a survey asks for.
type extent int

const (
	datasetsOnly extent = iota
	// everything is asked for in a command for datasets and one for snapshots,
	// of which there may be many with little to tell of each.
	everything
	// few asks for both in one command, which is less to do for some ten.
	few
)

func (d *Driver) survey(ctx context.Context, below []string, what extent) (*survey, error) {
	s := &survey{named: map[string]*entry{}, hangs: map[string][]string{}, held: map[string][]string{}, problems: map[string]*observed.Problem{}}
	pool, types := poolOf(below[0]), "filesystem,volume"
	if what == few {
		types += ",snapshot"
	}
	args := []string{"get", "-H", "-p", "-r", "-t", types, "-o", "name,property,value,source", strings.Join(datasetProperties, ",")}
	out, err := d.zfs(ctx, pool, append(args, below...)...)
	if err != nil {
		return nil, rootless(strings.Join(below, ", "), err)
	}
	list, err := entries(out)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		if e.snapshot() {
			s.snapshots = append(s.snapshots, e)
		} else {
			s.datasets = append(s.datasets, e)
		}
	}
	if what == everything {
		args = []string{"list", "-H", "-p", "-r", "-t", "snapshot", "-o", "name," + strings.Join(snapshotProperties, ",")}
		if out, err = d.zfs(ctx, pool, append(args, below...)...); err != nil {
			return nil, rootless(strings.Join(below, ", "), err)
		}
		if s.snapshots, err = rows(out, snapshotProperties); err != nil {
			return nil, err
		}
	}
	for _, e := range s.datasets {
		s.named[e.name] = e
		s.hangs[parentOf(e.name)] = append(s.hangs[parentOf(e.name)], e.name)
	}
	for _, e := range s.snapshots {
		s.hangs[parentOf(e.name)] = append(s.hangs[parentOf(e.name)], e.name)
	}
	return s, nil
}

// atOnce bounds the names in one command.
const atOnce = 500

// holds asks who holds the snapshots of ours that are held.
func (d *Driver) holds(ctx context.Context, pool string, s *survey) error {
	var held []string
	for _, e := range s.snapshots {
		if e.number("userrefs") > 0 && d.oursSnapshot(e) {
			held = append(held, e.name)
		}
	}
	for chunk := range slices.Chunk(held, atOnce) {
		out, err := d.zfs(ctx, pool, append([]string{"holds", "-H"}, chunk...)...)
		if err != nil && !says(err, "does not exist") {
			return err
		}
		for line := range strings.Lines(out) {
			if f := strings.SplitN(line, "\t", 3); len(f) == 3 {
				s.held[f[0]] = append(s.held[f[0]], f[1])
			}
		}
	}
	return nil
}

// live is what is shown of a dataset.
func (d *Driver) live(s *survey, e *entry) observed.Dataset {
	o := e.dataset()
	at := placeOf(e)
	o.Path = pathOf(e, at)
	o.Ready = e.local(markReady) == yes && at.mounted(s.table)
	o.Busy = at.user(s.table) != ""
	o.Bytes, o.Written = e.number("usedbydataset"), e.number("written")
	o.Imported = e.local(markInside) == insideRoot && e.origin() == ""
	o.Clones = s.hangs[e.name]
	slices.Sort(o.Clones)
	// An origin outside of what is ours is nothing that could be promoted.
	if e.origin() != "" && d.ours(s.named[parentOf(e.origin())]) {
		o.Origin = e.origin()
	}
	if !o.Ready {
		o.Problem = d.unready(s, e)
	}
	return o
}

// pathOf is where the data of an entry are on the host.
func pathOf(e *entry, at place) string {
	if !filepath.IsAbs(at.point) {
		return "" // none, legacy
	}
	return filepath.Join(at.point, e.local(markInside))
}

// unready says why a dataset is not ready, nil where it is only not finished.
func (d *Driver) unready(s *survey, e *entry) *observed.Problem {
	switch {
	case e.locked():
		return observed.Wrap("mount", e.name, observed.Environment, errors.New("its encryption key is not loaded"),
			"load it: `zfs load-key "+e.name+"`; it goes on by itself then")
	case s.problems[e.name] != nil:
		return s.problems[e.name]
	case e.local(markReady) == yes:
		return observed.Wrap("mount", e.name, observed.Environment, errors.New("it is not mounted"), "`zfs mount "+e.name+"` says why")
	}
	return nil
}

// past is what is shown of a snapshot.
func (d *Driver) past(s *survey, e *entry) observed.Dataset {
	o := e.dataset()
	o.Origin, o.Ready, o.Bytes, o.Written = parentOf(e.name), true, e.number("used"), -1
	o.Clones, o.Holds = e.clones(), s.held[e.name]
	slices.Sort(o.Clones)
	slices.Sort(o.Holds)
	return o
}
