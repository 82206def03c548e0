package routes

import (
	"errors"
	"fmt"
)

// Why a request goes nowhere.
var (
	ErrUnknown = errors.New("no tenant has this host and path")
	ErrNoSlot  = errors.New("the tenant has no active slot")
	ErrFull    = errors.New("too many requests are held for this tenant")
	ErrLost    = errors.New("the route table was lost and is not written again yet")
	ErrCut     = errors.New("the request was ended because its slot is going away")
)

// Moved says that a tenant is not as the caller of a change expected.
type Moved struct {
	Tenant   string
	Revision uint64 // the present one, 0: no entry
	Expired  bool   // its hold passed its limit
}

func (m *Moved) Error() string {
	if m.Expired {
		return fmt.Sprintf("%s is at revision %d and its hold has expired", m.Tenant, m.Revision)
	}
	return fmt.Sprintf("%s is at revision %d", m.Tenant, m.Revision)
}

// Taken says that another tenant has a host and path.
type Taken struct {
	Host, Path, By string
}

func (t *Taken) Error() string {
	return fmt.Sprintf("%s%s belongs to tenant %s", t.Host, t.Path, t.By)
}

// Invalid says what is wrong with an entry.
type Invalid struct{ Text string }

func (i *Invalid) Error() string { return i.Text }

// Unwritten says that a change could not be made durable and was not made.
type Unwritten struct{ Err error }

func (u *Unwritten) Error() string { return "write route table: " + u.Err.Error() }
func (u *Unwritten) Unwrap() error { return u.Err }
