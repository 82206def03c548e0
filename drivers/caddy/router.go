package caddy

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/caddy/wire"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Config says where the proxy is.
type Config struct {
	Admin string // path of the admin endpoint's unix socket
	// Proxy is the address clients use, as seen from this host:
	// "http://127.0.0.1:80" or "https://127.0.0.1". A bare host:port is http.
	Proxy string
	Owner drivers.Owner
}

// Router is drivers.Router on a reconcile-caddy.
type Router struct {
	admin *client
	probe *probe
}

var _ drivers.Router = (*Router)(nil)

// New returns the router. It calls nothing: a proxy that is down shows at the
// first call, as an Environment problem.
func New(c Config) (*Router, error) {
	if c.Admin == "" || c.Proxy == "" {
		return nil, errors.New("open router caddy: admin socket and proxy address are both needed")
	}
	p, err := newProbe(c.Proxy)
	if err != nil {
		return nil, err
	}
	return &Router{admin: newClient(c.Admin), probe: p}, nil
}

// Observe implements drivers.Router.
func (r *Router) Observe(ctx context.Context, tenants ...string) (map[string]observed.Route, string, error) {
	var t wire.Table
	err := r.admin.do(ctx, call{op: "observe routes", method: http.MethodGet, path: "/entries", query: url.Values{"tenant": tenants}}, &t)
	if err != nil {
		return nil, "", err
	}
	return t.Routes, t.Controller, nil
}

// Set implements drivers.Router.
func (r *Router) Set(ctx context.Context, id string, entry plans.Entry, rev uint64) (uint64, error) {
	if entry.Tenant == "" {
		return 0, observed.Wrap("route", "", observed.Refused, errors.New("an entry needs a tenant"), "")
	}
	var done wire.Done
	err := r.admin.do(ctx, call{
		op: "route", ref: entry.Tenant, method: http.MethodPut, path: "/entries/" + entry.Tenant,
		revision: &rev, id: id, body: entry,
	}, &done)
	return done.Revision, err
}

// Delete implements drivers.Router.
func (r *Router) Delete(ctx context.Context, id string, tenant string, rev uint64) error {
	var done wire.Done
	return r.admin.do(ctx, call{
		op: "unroute", ref: tenant, method: http.MethodDelete, path: "/entries/" + tenant, revision: &rev, id: id,
	}, &done)
}

// Cut implements drivers.Router.
func (r *Router) Cut(ctx context.Context, id string, tenant string, slot plans.Slot) (int, error) {
	var cut wire.Cut
	err := r.admin.do(ctx, call{
		op: "cut", ref: tenant + "/" + string(slot), method: http.MethodPost, path: "/entries/" + tenant + "/cut",
		query: url.Values{"slot": {string(slot)}}, id: id,
	}, &cut)
	return cut.Cut, err
}

// Claim implements drivers.Router.
func (r *Router) Claim(ctx context.Context, controller string) error {
	var done wire.Controller
	return r.admin.do(ctx, call{
		op: "claim routes", method: http.MethodPut, path: "/controller", body: wire.Controller{Controller: controller},
	}, &done)
}

// Check implements drivers.Router. Only the proxy whose admin endpoint we use
// can answer it: the mark is another one after each of its starts.
func (r *Router) Check(ctx context.Context, host, path string) (drivers.Answer, error) {
	var mark wire.Mark
	if err := r.admin.do(ctx, call{op: "check", ref: host, method: http.MethodGet, path: "/mark"}, &mark); err != nil {
		return drivers.Answer{}, err
	}
	return r.probe.check(ctx, mark.Secret, host, cmp.Or(path, "/"))
}

// Health says how the proxy and its table are.
func (r *Router) Health(ctx context.Context) (wire.Health, error) {
	var h wire.Health
	err := r.admin.do(ctx, call{op: "look at proxy", method: http.MethodGet, path: "/health"}, &h)
	return h, err
}

// checkLimit bounds a marked request: the slot was proved healthy just before.
const checkLimit = 10 * time.Second
