package table

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/gitops-fleet/reconcile/cmd/reconcile-caddy/table/routes"
	"github.com/gitops-fleet/reconcile/drivers/caddy/wire"
	"github.com/gitops-fleet/reconcile/plans"
)

// Admin is the table's part of Caddy's admin endpoint, as package wire has it.
type Admin struct{}

// CaddyModule describes the module.
func (*Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.tenant_table", New: func() caddy.Module { return new(Admin) }}
}

// Routes returns the endpoint.
func (*Admin) Routes() []caddy.AdminRoute {
	mux := http.NewServeMux()
	for pattern, call := range map[string]func(*routes.Table, *http.Request) (any, error){
		"GET " + wire.Base + "/entries":               observe,
		"PUT " + wire.Base + "/entries/{tenant}":      set,
		"DELETE " + wire.Base + "/entries/{tenant}":   remove,
		"POST " + wire.Base + "/entries/{tenant}/cut": cut,
		"PUT " + wire.Base + "/controller":            claim,
		"GET " + wire.Base + "/health":                health,
		"GET " + wire.Base + "/mark":                  mark,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { reply(w, r, call) })
	}
	return []caddy.AdminRoute{{Pattern: wire.Base + "/", Handler: caddy.AdminHandlerFunc(
		func(w http.ResponseWriter, r *http.Request) error { mux.ServeHTTP(w, r); return nil })}}
}

// reply carries out a call on the present table and writes what it returned.
func reply(w http.ResponseWriter, r *http.Request, call func(*routes.Table, *http.Request) (any, error)) {
	w.Header().Set("Content-Type", "application/json")
	t := current.Load()
	if t == nil {
		fail(w, http.StatusServiceUnavailable, wire.Failure{Error: "the running configuration has no tenant_table"})
		return
	}
	v, err := call(t, r)
	var moved *routes.Moved
	var taken *routes.Taken
	var unwritten *routes.Unwritten
	switch {
	case err == nil:
		_ = json.NewEncoder(w).Encode(v) // the caller is gone
	case errors.As(err, &moved):
		fail(w, http.StatusPreconditionFailed, wire.Failure{Error: err.Error(), Revision: moved.Revision})
	case errors.As(err, &taken):
		fail(w, http.StatusConflict, wire.Failure{Error: err.Error()})
	case errors.As(err, &unwritten):
		fail(w, http.StatusInsufficientStorage, wire.Failure{Error: err.Error()})
	default:
		fail(w, http.StatusBadRequest, wire.Failure{Error: err.Error()})
	}
}

func fail(w http.ResponseWriter, status int, f wire.Failure) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(f) // the caller is gone
}

func observe(t *routes.Table, r *http.Request) (any, error) {
	seen, controller := t.Observe(r.URL.Query()["tenant"]...)
	return wire.Table{Controller: controller, Routes: seen}, nil
}

func set(t *routes.Table, r *http.Request) (any, error) {
	rev, err := revision(r)
	if err != nil {
		return nil, err
	}
	var entry plans.Entry
	if err := decode(r, &entry); err != nil {
		return nil, err
	}
	if name := r.PathValue("tenant"); entry.Tenant != name {
		return nil, fmt.Errorf("the entry is of tenant %q and the path names %q", entry.Tenant, name)
	}
	now, changed, err := t.Set(entry, rev)
	return wire.Done{Revision: now, Changed: changed}, err
}

func remove(t *routes.Table, r *http.Request) (any, error) {
	rev, err := revision(r)
	if err != nil {
		return nil, err
	}
	changed, err := t.Delete(r.PathValue("tenant"), rev)
	return wire.Done{Changed: changed}, err
}

func cut(t *routes.Table, r *http.Request) (any, error) {
	return wire.Cut{Cut: t.Cut(r.PathValue("tenant"), plans.Slot(r.URL.Query().Get("slot")))}, nil
}

func claim(t *routes.Table, r *http.Request) (any, error) {
	var c wire.Controller
	if err := decode(r, &c); err != nil {
		return nil, err
	}
	return c, t.Claim(c.Controller)
}

func health(t *routes.Table, _ *http.Request) (any, error) {
	s := t.Status()
	return wire.Health{PID: os.Getpid(), Dir: s.Dir, Started: s.Started, Tenants: s.Tenants, Damaged: s.Damaged, Problem: s.Problem}, nil
}

func mark(t *routes.Table, _ *http.Request) (any, error) {
	return wire.Mark{Secret: t.Secret()}, nil
}

// revision reads If-Match: a number, bare or as an entity tag.
func revision(r *http.Request) (uint64, error) {
	rev, err := strconv.ParseUint(strings.Trim(r.Header.Get("If-Match"), `"`), 10, 64)
	if err != nil {
		return 0, errors.New("a change needs If-Match with the tenant's revision, 0 for none")
	}
	return rev, nil
}

func decode(r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, wire.MaxEntry))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	return nil
}

var _ caddy.AdminRouter = (*Admin)(nil)
