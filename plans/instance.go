package plans

// Key names an instance: one service in one slot of one tenant.
type Key struct {
	Tenant  string `json:"tenant"`
	Slot    Slot   `json:"slot"` // Blue, Green, or Shared
	Service string `json:"service"`
}

func (k Key) String() string { return k.Tenant + "/" + string(k.Slot) + "/" + k.Service }

// Instance is the complete order for one instance: what a runtime driver is
// asked to make exist. Everything is expanded; the same order twice is a no-op.
type Instance struct {
	Key
	// Service is expanded: no {{…}} is left in it.
	Spec Service `json:"spec"`
	// Digest is the service digest of the unexpanded service, Generation that
	// of the core it belongs to ("" for services upgraded alone).
	Digest     string `json:"digest"`
	Generation string `json:"generation,omitempty"`
	// Attempt is the attempt that ordered it; part of a job's identity, so
	// that a job runs once per attempt and generation.
	Attempt string `json:"attempt,omitempty"`
	// Ports are the host ports chosen by us, by port name, bound to loopback. They
	// are never changed once the instance is made up: others keep this very map.
	Ports map[string]int `json:"ports,omitempty"`
	// Beside are the host ports of the service that a hook runs beside. It is told
	// them and does not listen on them.
	Beside map[string]int `json:"beside,omitempty"`
	// Volumes are the host paths to mount, by the path inside the instance.
	Volumes map[string]Bind `json:"volumes,omitempty"`
	// Routed says that the slot is the routed one: its instances restart by
	// themselves, the others' do not.
	Routed bool `json:"routed,omitempty"`
	// Commit is the commit the order comes from, for labels only.
	Commit string `json:"commit,omitempty"`
}

// Bind is one host path mounted into an instance.
type Bind struct {
	Host     string `json:"host"`
	ReadOnly bool   `json:"readOnly,omitempty"`
}
