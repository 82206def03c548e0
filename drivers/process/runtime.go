package process

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"golang.org/x/sync/singleflight"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/room"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Config says where a Runtime keeps its things and for whom. Root and Owner
// are required.
type Config struct {
	// Root is a directory that is only the runtime's; it is made 0700.
	Root  string
	Owner drivers.Owner
	// OS and Arch are the platform images must be for; "" is this host's.
	OS, Arch string
	Limits   Limits
	// Copy gives each instance a copy of its image's root even where overlayfs
	// is allowed. It costs the image's size, unless the file system can share
	// blocks (btrfs, XFS).
	Copy bool
	// KeepFree is what no image takes of the disk that keeps them, in bytes; 0 is
	// drivers.DefaultKeepFree, less than 0 is nothing.
	KeepFree int64
	// Keychain finds credentials of registries; nil is authn.DefaultKeychain,
	// which reads what `docker login` and `podman login` have stored.
	Keychain authn.Keychain
	// Log is told what is swept and what could not be; nil is silence.
	Log *slog.Logger
}

// Limits bound what an image or an instance's output may take. Zero fields
// are the defaults.
type Limits struct {
	Bytes    int64 // of an unpacked image; default DefaultBytes
	Files    int   // of an unpacked image, also directories and links; default DefaultFiles
	Path     int   // bytes of a path in an image; default DefaultPath
	Layers   int   // of an image; default DefaultLayers
	LogBytes int64 // of one log file, of which there are two; default DefaultLogBytes
}

// Defaults of Limits. The path is what Linux bounds a path at; the layers are
// what overlayfs and Docker allow; the others are well beyond images people
// build, and well below what fills a host by accident.
const (
	DefaultBytes    = 16 << 30
	DefaultFiles    = 1_000_000
	DefaultPath     = 4096
	DefaultLayers   = 127
	DefaultLogBytes = 10 << 20
)

func (l Limits) effective() Limits {
	if l.Bytes <= 0 {
		l.Bytes = DefaultBytes
	}
	if l.Files <= 0 {
		l.Files = DefaultFiles
	}
	if l.Path <= 0 {
		l.Path = DefaultPath
	}
	if l.Layers <= 0 {
		l.Layers = DefaultLayers
	}
	if l.LogBytes <= 0 {
		l.LogBytes = DefaultLogBytes
	}
	return l
}

// Runtime is the embedded runtime. It keeps nothing in memory that matters:
// any number of them, in any number of processes, may look at one Root.
type Runtime struct {
	cfg    Config
	limits Limits
	log    *slog.Logger
	rooted bool // we run as root and may use every id
	pulls  singleflight.Group
	room   *room.Room
	hangs  time.Duration // how long after its grace a shim counts as hanging
	// images is held for writing by what takes images away, for reading by what
	// makes or uses one that no record names yet.
	images sync.RWMutex

	mu    sync.Mutex // guards following
	keys  map[plans.Key]*sync.Mutex
	tmp   string // this process's own folder below tmp/, "" until needed
	inTmp *os.File
	mode  string // what probe found, "" until asked
}

var _ drivers.Runtime = (*Runtime)(nil)

// New opens (and makes) the root and sweeps what crashed processes left there.
// It starts nothing.
func New(c Config) (*Runtime, error) {
	if !filepath.IsAbs(c.Root) {
		return nil, fmt.Errorf("open process runtime: root %q is no absolute path", c.Root)
	}
	if c.Owner.Fleet == "" || c.Owner.Node == "" {
		return nil, errors.New("open process runtime: owner lacks fleet or node")
	}
	if c.OS == "" {
		c.OS = "linux"
	}
	if c.Arch == "" {
		c.Arch = runtime.GOARCH
	}
	if c.Keychain == nil {
		c.Keychain = authn.DefaultKeychain
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	r := &Runtime{
		cfg: c, limits: c.Limits.effective(), log: c.Log,
		room: room.New(c.KeepFree), rooted: os.Geteuid() == 0, hangs: stopReserve, keys: map[plans.Key]*sync.Mutex{},
	}
	for _, d := range []string{"", blobsDir, imagesDir, rootsDir, instancesDir, tmpDir} {
		if err := os.MkdirAll(r.path(d), 0o700); err != nil {
			return nil, fmt.Errorf("open process runtime: %w", err)
		}
	}
	if err := r.sweep(); err != nil {
		return nil, fmt.Errorf("open process runtime: %w", err)
	}
	return r, nil
}

// Close lets go of this process's own temporary folder. Instances run on.
func (r *Runtime) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inTmp == nil {
		return nil
	}
	err := errors.Join(removeTree(r.tmp), r.inTmp.Close())
	r.tmp, r.inTmp = "", nil
	return err
}

// Traits are what this runtime can honour. User: as root any id; else the one
// id we have is given the wanted number inside, so files of an instance belong
// to us outside whoever made them. Restarts is false for its second half: a shim
// starts its command again while it is routed, but after the host's restart
// nothing of ours runs until the reconciler does, and then the reconciler
// starts what was routed.
func (r *Runtime) Traits() drivers.Traits {
	return drivers.Traits{Name: "process", User: true, ImageProbe: true, Exec: true}
}

// aside makes a new name in this process's folder below tmp/. The folder
// bears a lock, so that no other process takes it for left over.
func (r *Runtime) aside(what string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inTmp == nil {
		dir := r.path(tmpDir, newID())
		if err := os.Mkdir(dir, 0o700); err != nil {
			return "", fmt.Errorf("make temporary folder: %w", err)
		}
		f, err := takeLock(filepath.Join(dir, lockFile))
		if err != nil {
			return "", fmt.Errorf("make temporary folder: %w", err)
		}
		r.tmp, r.inTmp = dir, f
	}
	return filepath.Join(r.tmp, what+"-"+newID()), nil
}

// newID is 64 random bits.
func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// key locks an instance for this process. Between processes the instance's
// own lock and the atomic rename decide.
func (r *Runtime) key(k plans.Key) (unlock func()) {
	r.mu.Lock()
	m := r.keys[k]
	if m == nil {
		m = new(sync.Mutex)
		r.keys[k] = m
	}
	r.mu.Unlock()
	m.Lock()
	return m.Unlock
}

// exists says whether a path is there.
func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func problem(op, ref string, class observed.Class, hint, format string, args ...any) error {
	return observed.Wrap(op, ref, class, fmt.Errorf(format, args...), hint)
}

// late turns the end of a context into what it is: nobody's fault, look again.
func late(ctx context.Context, op, ref string) error {
	return observed.Wrap(op, ref, observed.Transient, context.Cause(ctx), "")
}

// environment blames the host; a nil err stays nil.
func environment(op string, key plans.Key, err error) error {
	if err == nil {
		return nil
	}
	return observed.Wrap(op, key.String(), observed.Environment, err, "")
}
