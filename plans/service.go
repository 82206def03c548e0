package plans

// Service is one container or unit of a tenant, after merge and defaults and
// before {{slot}} and port expansion. Durations are nanoseconds in memory and
// Go duration strings ("2s") in plans and in normal form.
type Service struct {
	Image        string            `json:"image,omitempty"` // repository[:tag]@sha256:…; the digest counts
	Command      []string          `json:"command,omitempty"`
	Args         []string          `json:"args,omitempty"`
	Env          map[string]string `json:"env,omitempty"`
	EnvFrom      []HostFile        `json:"envFrom,omitempty"`
	Files        map[string]File   `json:"files,omitempty"`   // by absolute path inside the instance
	Ports        map[string]int    `json:"ports,omitempty"`   // name → port inside the instance
	Publish      []Publish         `json:"publish,omitempty"` // beyond the loopback ports the router uses
	User         string            `json:"user,omitempty"`
	Workdir      string            `json:"workdir,omitempty"`
	Resources    Resources         `json:"resources,omitzero"`
	Capabilities []string          `json:"capabilities,omitempty"`
	Privileged   bool              `json:"privileged,omitempty"`
	Network      string            `json:"network,omitempty"` // "" is own (per tenant and slot), or "host"
	Mounts       map[string]Mount  `json:"mounts,omitempty"`  // by absolute path inside the instance
	Tmpfs        []string          `json:"tmpfs,omitempty"`
	Restart      string            `json:"restart,omitempty"` // "" is always, onFailure, never
	StopSignal   string            `json:"stopSignal,omitempty"`
	StopTimeout  Duration          `json:"stopTimeout,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	After        []string          `json:"after,omitempty"`
	Scope        string            `json:"scope,omitempty"` // "" is slot, or "tenant"
	Sidecar      bool              `json:"sidecar,omitempty"`
	Active       string            `json:"active,omitempty"` // "" is always, or "whenRouted"
	Job          *Job              `json:"job,omitempty"`
	Health       *Health           `json:"health,omitempty"`
}

// Alone says that the service is upgraded on its own, by recreate, and is not
// part of a slot's core: tenant-scoped services and sidecars.
func (s Service) Alone() bool { return s.Sidecar || s.Scope == "tenant" }

// WhenRouted says that the service runs only in the routed slot.
func (s Service) WhenRouted() bool { return s.Active == "whenRouted" }

// HostFile is a file on the host, counted by the version the plan gives it and
// never by its content.
type HostFile struct {
	File    string `json:"file"`
	Version string `json:"version"`
}

// File is one file placed in an instance. From names a file of the same commit,
// taken as it is; Text holds content given inline, which is expanded. Resolve
// fills Content with the bytes of From, and Digest with the sha256 of either,
// so that the generation covers it. In an Instance, Text is the content of both.
type File struct {
	From    string `json:"from,omitempty"`
	Text    string `json:"text,omitempty"`
	Mode    string `json:"mode,omitempty"` // octal, "" is 0444
	Digest  string `json:"digest,omitempty"`
	Content []byte `json:"content,omitempty"`
}

// Bytes returns the content, before expansion.
func (f File) Bytes() []byte {
	if f.Content != nil {
		return f.Content
	}
	return []byte(f.Text)
}

// Publish exposes a container port on the host beyond what the router needs.
type Publish struct {
	Host      string `json:"host,omitempty"` // address, "" is 127.0.0.1
	Port      int    `json:"port"`           // on the host
	Container int    `json:"container"`
	Protocol  string `json:"protocol,omitempty"` // "" is tcp, or udp
}

// Resources bounds what an instance may use.
type Resources struct {
	Memory string  `json:"memory,omitempty"` // bytes, or with K M G (1024-based)
	CPUs   float64 `json:"cpus,omitempty"`
	Pids   int     `json:"pids,omitempty"`
}

// Mount puts a volume of the tenant (or a path inside it) into an instance.
type Mount struct {
	Volume   string `json:"volume"`
	Path     string `json:"path,omitempty"` // inside the volume, "" is its root
	ReadOnly bool   `json:"readOnly,omitempty"`
}

// When a job runs. A job is a one-shot instance run once per generation.
const (
	BeforeStart  = "beforeStart"
	BeforeSwitch = "beforeSwitch"
	AfterSwitch  = "afterSwitch"
)

// Job makes a service a one-shot instance.
type Job struct {
	At      string   `json:"at"`
	Timeout Duration `json:"timeout,omitempty"` // default 5m
}

// Health says how a service proves itself. Exactly one of HTTP, TCP, Exec and
// Image is set.
type Health struct {
	HTTP      *HTTPProbe `json:"http,omitempty"`
	TCP       *TCPProbe  `json:"tcp,omitempty"`
	Exec      *ExecProbe `json:"exec,omitempty"`
	Image     bool       `json:"image,omitempty"` // the image's own healthcheck
	Interval  Duration   `json:"interval,omitempty"`
	Timeout   Duration   `json:"timeout,omitempty"`
	Successes int        `json:"successes,omitempty"` // in a row, to count as healthy
	Failures  int        `json:"failures,omitempty"`  // in a row, to count as failing
	Within    Duration   `json:"within,omitempty"`    // from start to first proof; then the attempt fails
}

// HTTPProbe asks for Path and wants Status (default any 2xx), and, where given,
// Body as a substring and every Header.
type HTTPProbe struct {
	Port   string            `json:"port,omitempty"` // name; "" is the only or the one named http
	Path   string            `json:"path"`
	Status int               `json:"status,omitempty"`
	Body   string            `json:"body,omitempty"`
	Header map[string]string `json:"header,omitempty"`
}

// TCPProbe wants a connection to be accepted.
type TCPProbe struct {
	Port string `json:"port,omitempty"`
}

// ExecProbe runs a command in the instance and wants exit status 0.
type ExecProbe struct {
	Command []string `json:"command"`
}

// Defaults of a probe, used by the schema's text, the docs and Health.Effective alike.
const (
	DefaultInterval  = 2 * Second
	DefaultTimeout   = 2 * Second
	DefaultSuccesses = 2
	DefaultFailures  = 3
	DefaultWithin    = 60 * Second
	DefaultJobLimit  = 300 * Second
	DefaultStopLimit = 10 * Second
)

// Effective returns h with every unset field at its default. A nil Health is
// "the instance runs" and has no probe; its durations still bound the start.
func (h *Health) Effective() Health {
	var e Health
	if h != nil {
		e = *h
	}
	if e.Interval <= 0 {
		e.Interval = DefaultInterval
	}
	if e.Timeout <= 0 {
		e.Timeout = DefaultTimeout
	}
	if e.Successes <= 0 {
		e.Successes = DefaultSuccesses
	}
	if e.Failures <= 0 {
		e.Failures = DefaultFailures
	}
	if e.Within <= 0 {
		e.Within = DefaultWithin
	}
	return e
}
