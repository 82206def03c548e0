package routes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
)

// valid says what is wrong with an entry. The table refuses what it could not
// serve exactly, and what could lead a request anywhere but to a plain address.
func valid(e plans.Entry) error {
	if e.Tenant == "" {
		return &Invalid{"an entry needs a tenant"}
	}
	switch e.Slot {
	case plans.NoSlot, plans.Blue, plans.Green:
	default:
		return &Invalid{fmt.Sprintf("slot %q is neither blue nor green", e.Slot)}
	}
	seen := make(map[string]bool, len(e.Routes))
	for _, r := range e.Routes {
		at := r.Host + r.Path
		if r.Host == "" || r.Host != Host(r.Host) || strings.ContainsAny(r.Host, "/ \t*{}") {
			return &Invalid{fmt.Sprintf("%q is not a host name in lower case without a port", r.Host)}
		}
		if r.Path == "" || r.Path != Path(r.Path) {
			return &Invalid{fmt.Sprintf("%s: path %q does not begin with / or is not clean", r.Host, r.Path)}
		}
		if seen[at] {
			return &Invalid{fmt.Sprintf("%s is there twice", at)}
		}
		seen[at] = true
		for slot, address := range r.Address {
			if err := validAddress(address); err != nil {
				return &Invalid{fmt.Sprintf("%s: address of %s: %v", at, slot, err)}
			}
		}
	}
	if h := e.Hold; h != nil && (h.ID == "" || h.Limit <= 0 || h.Queue < 0) {
		return &Invalid{"a hold needs an id, a limit above zero and no negative queue"}
	}
	return nil
}

func validAddress(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("%q has no port from 1 to 65535", s)
	}
	if host == "" || strings.ContainsAny(host, "{}/@|") {
		return fmt.Errorf("%q is not host:port", s)
	}
	return nil
}

// same compares two entries as they are written: nil and empty are one.
func same(a, b plans.Entry) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
