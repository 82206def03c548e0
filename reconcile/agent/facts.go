package agent

import (
	"cmp"
	"maps"
	"reflect"
	"slices"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// tenants lists whoever something was seen of.
func (s *sight) tenants() []string {
	seen := map[string]bool{}
	for name := range s.instances {
		seen[name] = true
	}
	for name := range s.routes {
		seen[name] = true
	}
	for name := range s.datasets {
		seen[name] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// merge returns the facts of a tenant after the look. What could not be seen
// stays as it was last seen, and is marked blind.
func (s *sight) merge(before observed.Tenant, name string, by drivenBy) observed.Tenant {
	f := before
	if err := s.blindTo(before, by.runtime); err != nil {
		f.Runtime.Err = err
	} else {
		f.Runtime = observed.Sight{At: s.at}
		f.Instances, f.Foreign = s.instances[name], s.foreign[name]
	}
	if s.routerErr != nil {
		f.Router.Err = s.routerErr
	} else {
		f.Router = observed.Sight{At: s.at}
		f.Route = s.routes[name]
	}
	if err := s.blindStorage(before, by); err != nil {
		f.Storage.Err = err
	} else {
		f.Storage = observed.Sight{At: s.at}
		f.Datasets = s.datasets[name]
	}
	if s.names != nil || s.inputs[name] != nil {
		f.Inputs = s.inputs[name]
	}
	return f
}

// drivenBy names what a tenant has to do with.
type drivenBy struct {
	runtime string
	storage string // the default
	volumes map[string]plans.Volume
	data    map[string]reconcile.Data // of its record
}

// blindStorage returns the problem of a storage, or of a part of one, that keeps
// data of the tenant, did when last seen, or is where its plan wants some. The
// others have nothing to do with it.
func (s *sight) blindStorage(before observed.Tenant, by drivenBy) *observed.Problem {
	for _, v := range plans.Sorted(by.volumes) {
		if err := s.dark(cmp.Or(v.Driver, by.storage), func(p drivers.Parted) string { return p.Part(v) }); err != nil {
			return err
		}
	}
	for _, d := range plans.Sorted(by.data) {
		if err := s.darkData(cmp.Or(d.Driver, by.storage), d.Dataset); err != nil {
			return err
		}
	}
	for i := range before.Datasets {
		if err := s.darkData(before.Datasets[i].Driver, before.Datasets[i].ID); err != nil {
			return err
		}
	}
	return nil
}

// dark returns why a part of a storage could not be seen, nil if it was.
func (s *sight) dark(storage string, part func(drivers.Parted) string) *observed.Problem {
	if err := s.storageErr[storage]; err != nil {
		return err
	}
	if a, some := s.away[storage]; some {
		return a.why[part(a)]
	}
	return nil
}

func (s *sight) darkData(storage, dataset string) *observed.Problem {
	return s.dark(storage, func(p drivers.Parted) string { return p.PartOf(dataset) })
}

// blindTo returns the problem of a runtime that may hold instances of the
// tenant: the one in charge of it, or one that held some when last seen. The
// others have nothing to do with it.
func (s *sight) blindTo(before observed.Tenant, runtime string) *observed.Problem {
	if err := s.runtimeErr[runtime]; err != nil {
		return err
	}
	for i := range before.Instances {
		if err := s.runtimeErr[before.Instances[i].Runtime]; err != nil {
			return err
		}
	}
	return nil
}

// moved says whether facts changed in a way that a tenant at rest must hear of.
// Counters, sizes and the time of the look do not matter to it.
func moved(a, b *observed.Tenant) bool {
	if a.Runtime.Blind() != b.Runtime.Blind() || a.Router.Blind() != b.Router.Blind() || a.Storage.Blind() != b.Storage.Blind() {
		return true
	}
	if len(a.Instances) != len(b.Instances) || len(a.Datasets) != len(b.Datasets) {
		return true
	}
	for i := range a.Instances {
		x, y := a.Instances[i], b.Instances[i]
		verdicts := x.Health.Verdict == y.Health.Verdict
		x.Health, y.Health = observed.Health{}, observed.Health{}
		x.Log, y.Log = "", ""
		if !verdicts || !reflect.DeepEqual(&x, &y) {
			return true
		}
	}
	for i := range a.Datasets {
		x, y := a.Datasets[i], b.Datasets[i]
		x.Bytes, x.Written, y.Bytes, y.Written = 0, 0, 0, 0
		if !reflect.DeepEqual(&x, &y) {
			return true
		}
	}
	x, y := a.Route, b.Route
	x.Slots, y.Slots, x.Waiting, y.Waiting = nil, nil, 0, 0
	return !reflect.DeepEqual(&x, &y) || !slices.Equal(a.Foreign, b.Foreign) || !maps.Equal(a.Inputs, b.Inputs)
}
