package schema

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
)

// HostConfig is the configuration of one host, as Config.schema.json describes
// it. Fields that are not given are zero; Defaults fills those that have a
// default of their own.
type HostConfig struct {
	Fleet      string     `json:"fleet,omitempty"`
	Node       string     `json:"node,omitempty"`
	State      string     `json:"state,omitempty"`
	Repo       RepoConfig `json:"repo,omitzero"`
	Ports      string     `json:"ports,omitempty"` // first-last
	Runtime    string     `json:"runtime,omitempty"`
	Drivers    Drivers    `json:"drivers,omitzero"`
	Listen     string     `json:"listen,omitempty"`
	Parallel   int        `json:"parallel,omitempty"`
	AllowLocal bool       `json:"allowLocal,omitempty"`
	KeepFree   string     `json:"keepFree,omitempty"` // bytes, or with K M G T
}

// RepoConfig says where the plans are and how to get them.
type RepoConfig struct {
	URL         string         `json:"url,omitempty"`
	Branch      string         `json:"branch,omitempty"`
	Path        string         `json:"path,omitempty"`
	Interval    plans.Duration `json:"interval,omitempty"`
	Auth        AuthConfig     `json:"auth,omitzero"`
	AllowRewind bool           `json:"allowRewind,omitempty"`
}

// AuthConfig says how to log in to the repository. It names files; no secret is
// in the configuration itself.
type AuthConfig struct {
	SSHKey         string `json:"sshKey,omitempty"`
	SSHKeyPassFile string `json:"sshKeyPassFile,omitempty"`
	KnownHosts     string `json:"knownHosts,omitempty"`
	Username       string `json:"username,omitempty"`
	PasswordFile   string `json:"passwordFile,omitempty"`
	CAFile         string `json:"caFile,omitempty"`
}

// Drivers holds the settings of each driver.
type Drivers struct {
	Docker  DockerConfig  `json:"docker,omitzero"`
	Process ProcessConfig `json:"process,omitzero"`
	Caddy   CaddyConfig   `json:"caddy,omitzero"`
	Dir     DirConfig     `json:"dir,omitzero"`
	ZFS     ZFSConfig     `json:"zfs,omitzero"`
}

// DockerConfig is about the Docker engine.
type DockerConfig struct {
	Host        string `json:"host,omitempty"`
	Credentials string `json:"credentials,omitempty"` // config.json as Docker keeps it
}

// ProcessConfig is about the embedded process runtime.
type ProcessConfig struct {
	Root        string `json:"root,omitempty"`
	Credentials string `json:"credentials,omitempty"` // config.json as Docker keeps it
}

// CaddyConfig is about the data plane.
type CaddyConfig struct {
	Admin  string `json:"admin,omitempty"` // unix socket
	Listen string `json:"listen,omitempty"`
	State  string `json:"state,omitempty"`
	Binary string `json:"binary,omitempty"`
}

// DirConfig is about plain directories as volumes.
type DirConfig struct {
	Root string `json:"root,omitempty"`
}

// ZFSConfig is about datasets as volumes.
type ZFSConfig struct {
	Roots   []string       `json:"roots,omitempty"`
	Mounts  string         `json:"mounts,omitempty"`
	Command string         `json:"command,omitempty"` // path of zfs
	Limit   plans.Duration `json:"limit,omitempty"`   // of one command
}

// Defaults of the host configuration, as its schema names them.
const (
	DefaultState      = "/var/lib/reconcile"
	DefaultBranch     = "main"
	DefaultPath       = "."
	DefaultInterval   = 30 * plans.Second
	DefaultPorts      = "20000-29999"
	DefaultDockerHost = "unix:///var/run/docker.sock"
	DefaultListen     = ":8080" // of the proxy
	DefaultParallel   = 4
	DefaultKeepFree   = "64M"
	DefaultZFSLimit   = 60 * plans.Second
)

// Defaults returns c with every unset field that has a default of its own at
// that default. What depends on the host, such as node, is left unset.
func (c HostConfig) Defaults() HostConfig {
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	set(&c.State, DefaultState)
	set(&c.Repo.Branch, DefaultBranch)
	set(&c.Repo.Path, DefaultPath)
	set(&c.Ports, DefaultPorts)
	set(&c.KeepFree, DefaultKeepFree)
	set(&c.Drivers.Docker.Host, DefaultDockerHost)
	set(&c.Drivers.Caddy.Listen, DefaultListen)
	if c.Repo.Interval == 0 {
		c.Repo.Interval = DefaultInterval
	}
	if c.Drivers.ZFS.Limit == 0 {
		c.Drivers.ZFS.Limit = DefaultZFSLimit
	}
	if c.Parallel == 0 {
		c.Parallel = DefaultParallel
	}
	return c
}

// PortRange returns the first and last port of Ports, or those of the default
// where it is not set. It errs on what is no range, which can come from a flag.
func (c HostConfig) PortRange() (first, last int, err error) {
	text := c.Ports
	if text == "" {
		text = DefaultPorts
	}
	first, last, err = parsePorts(text)
	switch {
	case err != nil:
		return 0, 0, fmt.Errorf("ports %w", err)
	case first == 0:
		return 0, 0, fmt.Errorf("ports must be a range such as %q, not %q", DefaultPorts, text)
	}
	return first, last, nil
}

// KeepFreeBytes returns KeepFree in bytes, or that of the default where it is not
// set.
func (c HostConfig) KeepFreeBytes() (int64, error) {
	text := cmp.Or(c.KeepFree, DefaultKeepFree)
	factor := int64(1)
	if i := strings.IndexByte("KMGT", text[len(text)-1]); i >= 0 {
		text, factor = text[:len(text)-1], 1<<(10*(i+1))
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return 0, fmt.Errorf("keepFree must be a size such as %q, not %q", DefaultKeepFree, c.KeepFree)
	}
	return n * factor, nil
}

// Config reads a host's configuration file. An empty file is a configuration
// that sets nothing.
func Config(name string, text []byte) (HostConfig, []plans.Problem) {
	var c HostConfig
	if p, bad := unreadable(name, string(text)); bad {
		return c, []plans.Problem{p}
	}
	p := part{file: name, text: string(text)}
	if p.blank() {
		return c, nil
	}
	root, err := parseNode(p)
	if err != nil {
		return c, []plans.Problem{syntaxProblem(p, err)}
	}
	r := &reader{part: p}
	v := r.value(root)
	doc, ok := v.(map[string]any)
	if !ok && !r.full {
		r.problem(root, "the configuration is "+aValue(v, root.Value)+", not a map", "write it like state: "+DefaultState)
	}
	if r.full || !ok {
		return c, r.problems
	}
	if problems := tidy(append(r.problems, validate(ConfigKind, p, root, doc, r.bad)...)); len(problems) > 0 {
		return c, problems
	}
	plain, err := json.Marshal(doc)
	if err == nil {
		err = json.Unmarshal(plain, &c)
	}
	if err != nil {
		return HostConfig{}, []plans.Problem{{Pos: p.pos(1, 1), Text: "the configuration cannot be taken: " + err.Error()}}
	}
	return c, nil
}
