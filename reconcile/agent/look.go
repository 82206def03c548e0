package agent

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// lookRequest says what is to be looked at.
type lookRequest struct {
	stamp uint64              // facts count for news up to this one
	names []string            // nil: everything
	files map[string][]string // host files by tenant, where the plan names some
}

// sight is one look at the host, by tenant. A part that could not be seen has
// its problem and no facts.
type sight struct {
	lookRequest
	at         time.Time // when it began: a deadline fires only on a later one
	instances  map[string][]observed.Instance
	foreign    map[string][]string
	routes     map[string]observed.Route
	datasets   map[string][]observed.Dataset
	inputs     map[string]map[string]string
	controller string
	runtimeErr map[string]*observed.Problem // by runtime
	routerErr  *observed.Problem
	storageErr map[string]*observed.Problem // by storage
	away       map[string]away              // by storage: parts of it that could not be seen
}

// away are parts of a storage that could not be seen, while the others were.
type away struct {
	drivers.Parted
	why map[string]*observed.Problem // by part
}

// partly takes apart the error of a look at a storage: the parts it is about, or
// else err, with which nothing was seen.
func partly(st drivers.Storage, op string, err error) (away, error) {
	var partial *observed.Partial
	parted, ok := st.(drivers.Parted)
	if err == nil || !ok || !errors.As(err, &partial) {
		return away{}, err
	}
	a := away{parted, map[string]*observed.Problem{}}
	for part, why := range partial.Parts {
		a.why[part] = blind(op, why)
	}
	return a, nil
}

// looker looks at the host through the drivers.
type looker struct {
	hands
	inputs *inputs
	redact *Redactor
	now    func() time.Time
	limit  time.Duration
	// unwell says that an instance's last probe went badly; nil: nobody asks.
	unwell func(instanceID) bool
}

// tail gives an instance that ended badly, or answers badly, its last lines.
func (l *looker) tail(ctx context.Context, rt drivers.Runtime, in *observed.Instance) {
	// One that the engine started again may be seen in a moment in which it runs.
	ended := in.Phase == observed.Exited && in.Exit != 0 || in.Restarting || in.Restarts > 0 && l.now().Sub(in.Started) < time.Minute
	if !ended && (l.unwell == nil || !l.unwell(idOf(in))) {
		return
	}
	if text, err := rt.Logs(ctx, in.Key, logLines); err == nil {
		in.Log = l.redact.Text(text)
	}
}

// look asks every driver at once, each bounded by the limit.
func (l *looker) look(ctx context.Context, req lookRequest) *sight {
	s := &sight{lookRequest: req, at: l.now(),
		instances: map[string][]observed.Instance{}, foreign: map[string][]string{},
		datasets: map[string][]observed.Dataset{}, runtimeErr: map[string]*observed.Problem{}, storageErr: map[string]*observed.Problem{},
		away: map[string]away{}, inputs: map[string]map[string]string{},
	}
	ctx, cancel := context.WithTimeout(ctx, l.limit)
	defer cancel()
	var mu sync.Mutex // guards s
	var wg sync.WaitGroup
	for name, rt := range l.runtimes {
		wg.Go(func() {
			seen, foreign, err := rt.Observe(ctx, req.names...)
			for i := range seen {
				seen[i].Runtime = name
				if req.names != nil { // a look at everything has no time for logs
					l.tail(ctx, rt, &seen[i])
				}
			}
			mu.Lock()
			defer mu.Unlock()
			l.addInstances(s, name, seen, foreign, err)
		})
	}
	wg.Go(func() {
		routes, controller, err := l.router.Observe(ctx, req.names...)
		mu.Lock()
		defer mu.Unlock()
		s.routes, s.controller = routes, controller
		s.routerErr = blind("look at routes", err)
	})
	for name, st := range l.storages {
		wg.Go(func() {
			seen, err := st.Observe(ctx, req.names...)
			mu.Lock()
			defer mu.Unlock()
			l.addDatasets(s, name, seen, err)
		})
	}
	for tenant, files := range req.files {
		seen := map[string]string{}
		for _, f := range files {
			seen[f] = l.fileDigest(f)
		}
		mu.Lock()
		s.inputs[tenant] = seen
		mu.Unlock()
	}
	wg.Wait()
	return s
}

// fileDigest is the keyed digest of a host file, "" if it cannot be read.
func (l *looker) fileDigest(path string) string {
	content, err := l.inputs.read(path)
	if err != nil {
		return ""
	}
	digest, err := l.inputs.digest(content)
	if err != nil {
		return ""
	}
	return digest
}

func (l *looker) addInstances(s *sight, runtime string, seen []observed.Instance, foreign map[string][]string, err error) {
	if err != nil {
		s.runtimeErr[runtime] = blind("look at instances of "+runtime, err)
		return
	}
	l.places.sawInstances(runtime, runtime == l.defaultRuntime, seen)
	for _, in := range seen {
		s.instances[in.Tenant] = append(s.instances[in.Tenant], in)
	}
	for tenant, what := range foreign {
		if len(what) > 0 {
			s.foreign[tenant] = append(s.foreign[tenant], what...)
		}
	}
	if len(l.runtimes) > 1 {
		for _, list := range s.instances {
			slices.SortStableFunc(list, func(a, b observed.Instance) int { return compareKeys(a.Key, b.Key) })
		}
	}
}

func (l *looker) addDatasets(s *sight, storage string, seen []observed.Dataset, err error) {
	dark, err := partly(l.storages[storage], "look at datasets of "+storage, err)
	if err != nil {
		s.storageErr[storage] = blind("look at datasets of "+storage, err)
		return
	}
	if len(dark.why) > 0 {
		s.away[storage] = dark
	}
	l.places.sawDatasets(storage, storage == l.defaultStorage, seen)
	for _, d := range seen {
		d.Driver = storage
		s.datasets[d.Tenant] = append(s.datasets[d.Tenant], d)
	}
	if len(l.storages) > 1 {
		for _, list := range s.datasets {
			slices.SortStableFunc(list, func(a, b observed.Dataset) int { return cmp.Compare(a.ID, b.ID) })
		}
	}
}

// sawInstances remembers where instances are that are not with the default
// runtime. An instance seen with the default is no longer anywhere else.
func (p *places) sawInstances(runtime string, isDefault bool, seen []observed.Instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, in := range seen {
		switch {
		case !isDefault:
			p.instance[in.Key] = runtime
		case p.wanted[in.Tenant] != "":
			// Seen with the default though the plan asks for another one.
			p.instance[in.Key] = runtime
		case len(p.instance) > 0:
			delete(p.instance, in.Key)
		}
	}
}

// want remembers the runtime a tenant's plan asks for.
func (p *places) want(tenant, runtime string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if runtime == "" {
		delete(p.wanted, tenant)
	} else {
		p.wanted[tenant] = runtime
	}
}

func (p *places) sawDatasets(storage string, isDefault bool, seen []observed.Dataset) {
	if isDefault {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range seen {
		p.dataset[d.ID] = storage
	}
}

// blind makes err the reason why a part of the host was not seen.
func blind(op string, err error) *observed.Problem {
	return observed.Wrap(op, "", observed.Environment, err, "")
}

func compareKeys(a, b plans.Key) int {
	return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.Service, b.Service))
}

// watch passes a runtime's hints on until ctx ends, and asks for a full look
// whenever the stream breaks: what moved meanwhile was not told.
func watch(ctx context.Context, rt drivers.Runtime, c Clock, hint func(tenant string), broken func(error)) {
	pause := time.Second
	for ctx.Err() == nil {
		begin := c.Now()
		err := rt.Watch(ctx, hint)
		if ctx.Err() != nil {
			return
		}
		broken(err)
		if c.Now().Sub(begin) > time.Minute {
			pause = time.Second
		}
		t := c.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-t.C():
		}
		t.Stop()
		pause = min(2*pause, time.Minute)
	}
}
