package routes

import (
	"cmp"
	"net"
	"path"
	"slices"
	"strings"
	"sync"
)

// hosts leads a host and path to its tenant. Reads take no lock; the slices in
// it are never changed, only replaced, by one writer at a time.
type hosts struct {
	byName sync.Map // host → []place, longest path first
}

// place is one path prefix of a host.
type place struct {
	path   string
	tenant *Tenant
}

// find returns the tenant with the longest matching path, or nil.
func (h *hosts) find(host, p string) *Tenant {
	v, ok := h.byName.Load(host)
	if !ok {
		return nil
	}
	for _, pl := range v.([]place) {
		if under(p, pl.path) {
			return pl.tenant
		}
	}
	return nil
}

// known says whether any tenant has the host.
func (h *hosts) known(host string) bool {
	_, ok := h.byName.Load(host)
	return ok
}

// owner returns who has exactly this host and path, or nil.
func (h *hosts) owner(host, p string) *Tenant {
	v, _ := h.byName.Load(host)
	places, _ := v.([]place)
	for _, pl := range places {
		if pl.path == p {
			return pl.tenant
		}
	}
	return nil
}

func (h *hosts) add(host, p string, t *Tenant) {
	v, _ := h.byName.Load(host)
	old, _ := v.([]place)
	places := slices.DeleteFunc(slices.Clone(old), func(pl place) bool { return pl.path == p })
	places = append(places, place{path: p, tenant: t})
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(len(b.path), len(a.path)), cmp.Compare(a.path, b.path))
	})
	h.byName.Store(host, places)
}

// remove takes the host and path away from t; another tenant's stays.
func (h *hosts) remove(host, p string, t *Tenant) {
	v, _ := h.byName.Load(host)
	old, _ := v.([]place)
	places := slices.DeleteFunc(slices.Clone(old), func(pl place) bool { return pl.path == p && pl.tenant == t })
	if len(places) == 0 {
		h.byName.Delete(host)
		return
	}
	h.byName.Store(host, places)
}

// under says whether p lies under a prefix; prefixes end at a slash, so that
// /api covers /api and /api/x and not /apix.
func under(p, prefix string) bool {
	if prefix == "/" {
		return true
	}
	if !strings.HasPrefix(p, prefix) {
		return false
	}
	return len(p) == len(prefix) || strings.HasSuffix(prefix, "/") || p[len(prefix)] == '/'
}

// Host reduces the Host of a request to the form the table uses: lower case,
// no port, no trailing dot, no brackets.
func Host(s string) string {
	if strings.LastIndexByte(s, ':') >= 0 {
		if host, _, err := net.SplitHostPort(s); err == nil {
			s = host
		}
		s = strings.Trim(s, "[]")
	}
	return strings.ToLower(strings.TrimSuffix(s, "."))
}

// Path reduces the path of a request to the form that is matched: no dot
// segments and no double slashes, so that nobody reaches one prefix through another.
func Path(s string) string {
	if s == "" || s[0] != '/' {
		return "/"
	}
	if !strings.Contains(s, "//") && !strings.Contains(s, "/.") {
		return s
	}
	clean := path.Clean(s)
	if strings.HasSuffix(s, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}
