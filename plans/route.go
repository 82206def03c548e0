package plans

// Route leads host names (and a path prefix) to one service of a tenant.
type Route struct {
	Hosts   []string `json:"hosts,omitempty"`
	Path    string   `json:"path,omitempty"` // prefix, "" is /
	Service string   `json:"service,omitempty"`
	Port    string   `json:"port,omitempty"` // name; "" is the only or the one named http
}

// Entry is everything the router shall do for one tenant: set as a whole, so
// that a lost reply costs nothing. The zero Entry of a tenant means: no routes.
type Entry struct {
	Tenant string `json:"tenant"`
	// Slot is what the routes lead to; NoSlot answers 503 with Retry-After.
	Slot   Slot         `json:"slot,omitempty"`
	Routes []EntryRoute `json:"routes,omitempty"` // sorted by (host, path)
	// Hold, if not nil, makes requests wait. The data plane itself releases
	// them when the limit has passed, to Slot as it then is.
	Hold *Hold `json:"hold,omitempty"`
}

// EntryRoute is one host and path with the address of each slot that has one.
type EntryRoute struct {
	Host    string          `json:"host"`
	Path    string          `json:"path"` // prefix, at least "/"
	Service string          `json:"service,omitempty"`
	Address map[Slot]string `json:"address,omitempty"` // slot → host:port
}

// Hold is one hold of requests. ID is derived from the attempt, so that a hold
// is never confirmed by another attempt's.
//
// A data plane that serves for real gives the end of a hold at its limit a
// revision of its own, so that a switch decided under the hold is a Conflict
// after it: the old slot may have been written to since.
type Hold struct {
	ID    string   `json:"id"`
	Limit Duration `json:"limit"`           // from when the data plane first saw ID
	Queue int      `json:"queue,omitempty"` // most requests held; default 1000; beyond: 503
}
