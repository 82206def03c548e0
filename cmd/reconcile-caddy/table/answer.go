package table

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gitops-fleet/reconcile/cmd/reconcile-caddy/table/routes"
	"github.com/gitops-fleet/reconcile/drivers/caddy/wire"
)

// clientGone is the status Caddy's reverse proxy writes when the request's
// context ended: the client left, or we cut it.
const clientGone = 499

// answer watches a response go by: its status, and the time to its header.
type answer struct {
	*caddyhttp.ResponseWriterWrapper
	flight *routes.Flight
	began  time.Time
	marked bool
	wrote  bool // the final header is out
	left   bool // the client stopped reading
}

// WriteHeader notes the first final status; 101 is one, other 1xx are not.
func (a *answer) WriteHeader(status int) {
	if status < 200 && status != http.StatusSwitchingProtocols || a.wrote {
		a.ResponseWriterWrapper.WriteHeader(status)
		return
	}
	a.wrote = true
	cut := errors.Is(context.Cause(a.flight.Context()), routes.ErrCut)
	switch {
	case status == clientGone && cut:
		status = http.StatusServiceUnavailable
		a.Header().Set("Retry-After", RetryAfter)
	case status == clientGone && a.flight.Context().Err() != nil:
		// nobody is there to be answered, and no slot is to blame
	default:
		a.flight.Answered(status, time.Since(a.began))
	}
	if a.marked {
		stamp(a.Header(), a.flight)
	}
	a.ResponseWriterWrapper.WriteHeader(status)
}

// Write implies a header, as for any ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	if !a.wrote {
		a.WriteHeader(http.StatusOK)
	}
	n, err := a.ResponseWriterWrapper.Write(b)
	a.left = a.left || err != nil
	return n, err
}

// finish notes how a request ended that no header was written for. The error
// goes on to Caddy, which answers it.
func (a *answer) finish(r *http.Request, err error) {
	if a.wrote {
		return
	}
	a.wrote = true
	if a.marked {
		stamp(a.Header(), a.flight)
	}
	status := http.StatusOK
	if err != nil {
		status = http.StatusInternalServerError
		var failed caddyhttp.HandlerError
		if errors.As(err, &failed) && failed.StatusCode != 0 {
			status = failed.StatusCode
		}
	}
	if r.Context().Err() == nil && a.flight.Context().Err() == nil {
		a.flight.Answered(status, time.Since(a.began))
	}
}

// broken notes an answer the slot did not finish: the reverse proxy then
// aborts the handler, so that the client sees it too.
func (a *answer) broken() {
	failed := recover()
	if failed == nil {
		return
	}
	if a.flight.Context().Err() == nil && !a.left {
		a.flight.Broken()
	}
	panic(failed)
}

// stamp writes which slot and revision a marked request met. flight may be nil.
func stamp(h http.Header, flight *routes.Flight) {
	var slot string
	var revision uint64
	if flight != nil {
		slot, revision = string(flight.Active), flight.Revision
	}
	h.Set(wire.SlotHeader, slot)
	h.Set(wire.RevisionHeader, strconv.FormatUint(revision, 10))
}
