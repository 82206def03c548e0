package table

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gitops-fleet/reconcile/cmd/reconcile-caddy/table/routes"
	"github.com/gitops-fleet/reconcile/drivers/caddy/wire"
)

// AddressVar is the variable that holds the address of the slot; a
// reverse_proxy that follows dials "{http.vars.tenant_address}".
const AddressVar = "tenant_address"

// RetryAfter is what a client is told to wait, in seconds, where a tenant has
// no slot or too many requests wait: about the length of a switch.
const RetryAfter = "2"

// Handler leads a request to the active slot of the tenant that has its host
// and path, and counts it there until the handlers that follow are done.
// Unknown hosts are answered 404, a tenant without a slot 503.
type Handler struct {
	table *routes.Table
}

// CaddyModule describes the module.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.tenant_table", New: func() caddy.Module { return new(Handler) }}
}

// Provision finds the table.
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	h.table, err = appTable(ctx)
	return err
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	marked := h.unmark(r)
	flight, err := h.table.Take(r.Context(), routes.Request{
		Host:   routes.Host(r.Host),
		Path:   routes.Path(r.URL.Path),
		Write:  writes(r),
		Marked: marked,
	})
	if err != nil {
		if marked {
			stamp(w.Header(), flight)
		}
		return refuse(w, err)
	}
	defer flight.Land()

	caddyhttp.SetVar(r.Context(), AddressVar, flight.Address)
	a := &answer{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, flight: flight, began: time.Now(), marked: marked}
	defer a.broken()
	err = next.ServeHTTP(a, r.WithContext(flight.Context()))
	a.finish(r, err)
	return err
}

// unmark takes the mark off a request, right or wrong, so that no upstream
// ever sees one, and says whether it was ours.
func (h *Handler) unmark(r *http.Request) bool {
	given, ok := strings.CutPrefix(r.Header.Get(wire.MarkHeader), wire.MarkScheme)
	r.Header.Del(wire.MarkHeader)
	return ok && subtle.ConstantTimeCompare([]byte(given), []byte(h.table.Secret())) == 1
}

// writes says whether a request may change something at the upstream: all
// methods that are not safe (RFC 9110 §9.2.1), and streams opened by an upgrade.
func writes(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return r.Header.Get("Upgrade") != ""
	}
	return true
}

// refuse answers a request that leads nowhere.
func refuse(w http.ResponseWriter, err error) error {
	status := http.StatusServiceUnavailable
	switch {
	case errors.Is(err, routes.ErrUnknown):
		return caddyhttp.Error(http.StatusNotFound, err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		status = 499 // the client went away while it waited; Caddy's code for it
	default:
		w.Header().Set("Retry-After", RetryAfter)
	}
	return caddyhttp.Error(status, err)
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
