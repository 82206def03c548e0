// Package wire is the language between the router driver and the tenant table
// in the proxy: JSON over Caddy's admin endpoint. Both sides import it; it
// imports neither.
//
//	GET    /tenant_table/entries[?tenant=NAME…]   Table
//	PUT    /tenant_table/entries/NAME             plans.Entry, If-Match: REVISION → Done
//	DELETE /tenant_table/entries/NAME             If-Match: REVISION → Done
//	POST   /tenant_table/entries/NAME/cut?slot=S  Cut
//	PUT    /tenant_table/controller               Controller
//	GET    /tenant_table/health                   Health
//	GET    /tenant_table/mark                     Mark
//
// REVISION is a decimal number, 0 for "no entry yet". An error is a Failure
// with status 400 (refused), 404 (no such thing), 409 (another tenant has the
// host), 412 (another revision), 503 (no table) or 507 (could not be written).
package wire

import (
	"time"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Base is where the table's part of the admin endpoint begins.
const Base = "/tenant_table"

// MaxEntry is the largest body of a PUT, in bytes. An entry of a hundred
// routes is some 20 kB.
const MaxEntry = 4 << 20

// Headers of marked requests. The mark travels as proxy credentials
// ("Proxy-Authorization: Reconcile SECRET"): Caddy keeps those out of its logs
// and no proxy passes them on. The other two are on the answer, and only if
// the mark was right.
const (
	MarkHeader     = "Proxy-Authorization"
	MarkScheme     = "Reconcile "
	SlotHeader     = "Reconcile-Slot"
	RevisionHeader = "Reconcile-Revision"
)

// Table is what the table holds, or the part of it that was asked for.
type Table struct {
	Controller string                    `json:"controller,omitempty"`
	Routes     map[string]observed.Route `json:"routes"`
}

// Done answers a change.
type Done struct {
	Revision uint64 `json:"revision"`
	Changed  bool   `json:"changed"`
}

// Cut says how many open requests were ended.
type Cut struct {
	Cut int `json:"cut"`
}

// Controller is the id that stands beside the table.
type Controller struct {
	Controller string `json:"controller"`
}

// Mark is the secret of marked requests; another one after each start.
type Mark struct {
	Secret string `json:"secret"`
}

// Health says how the table is.
type Health struct {
	PID     int       `json:"pid"`
	Dir     string    `json:"dir"`
	Started time.Time `json:"started"`
	Tenants int       `json:"tenants"`
	// Damaged says what was lost when the table was read ("" if nothing); it
	// stays until a controller claims the table.
	Damaged string `json:"damaged,omitempty"`
	// Problem is the last write that failed, until one succeeds.
	Problem string `json:"problem,omitempty"`
}

// Failure is why a call was not carried out.
type Failure struct {
	Error    string `json:"error"`
	Revision uint64 `json:"revision,omitempty"` // the present one, with 412
}
