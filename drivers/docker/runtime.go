package docker

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/room"
)

// Config says which engine to use and as whom.
type Config struct {
	// Host is the engine's socket, "unix:///var/run/docker.sock" if empty.
	Host string
	// State is a directory of the driver's own; it is made with mode 0700.
	State string
	// Owner is the mark on everything made.
	Owner drivers.Owner
	// KeepFree is what no image takes of the disk that keeps them, in bytes; 0 is
	// drivers.DefaultKeepFree, less than 0 is nothing.
	KeepFree int64
	// Keychain finds credentials of registries; nil is authn.DefaultKeychain,
	// what `docker login` keeps.
	Keychain authn.Keychain
	// Log may be nil.
	Log *slog.Logger
	// Each, if not nil, hears of every request to the engine ("POST",
	// "/v1.41/containers/create"). It must return at once.
	Each func(method, path string)
}

// Runtime is a Docker engine as one controller sees it. Its methods may be
// called at the same time; those of one tenant's instances wait for each other
// where they share a network.
type Runtime struct {
	cli   *client.Client
	host  string
	owner drivers.Owner
	keys  authn.Keychain
	log   *slog.Logger
	state *state
	cache *cache
	nets  *networks
	room  *room.Room

	mu       sync.Mutex // guards platform
	platform platform
}

var _ drivers.Runtime = (*Runtime)(nil)

// New prepares a Runtime. It does not talk to the engine.
func New(c Config) (*Runtime, error) {
	if c.Owner.Fleet == "" || c.Owner.Node == "" {
		return nil, fmt.Errorf("open docker runtime: fleet and node are needed to mark what it makes")
	}
	if err := os.MkdirAll(c.State, 0o700); err != nil {
		return nil, fmt.Errorf("make state directory of the docker runtime: %w", err)
	}
	host := cmp.Or(c.Host, client.DefaultDockerHost)
	opts := []client.Opt{client.WithHost(host)}
	if c.Each != nil {
		opts = append(opts, client.WithHTTPRequestHook(func(req *http.Request) error {
			c.Each(req.Method, req.URL.Path)
			return nil
		}))
	}
	cli, err := client.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("open docker engine %s: %w", host, err)
	}
	st, err := openState(c.State)
	if err != nil {
		return nil, err
	}
	log := c.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	keys := c.Keychain
	if keys == nil {
		keys = authn.DefaultKeychain
	}
	return &Runtime{
		cli: cli, host: host, owner: c.Owner, keys: keys, log: log, state: st,
		cache: newCache(), nets: newNetworks(), room: room.New(c.KeepFree),
	}, nil
}

// Close lets go of the connections to the engine. Containers are not touched.
func (r *Runtime) Close() error { return r.cli.Close() }

// Traits says that a Docker engine honours every field of a plan.
func (r *Runtime) Traits() drivers.Traits {
	return drivers.Traits{
		Name: "docker", OwnNetwork: true, Publish: true, Resources: true, Caps: true,
		User: true, ImageProbe: true, Exec: true, Restarts: true,
	}
}
