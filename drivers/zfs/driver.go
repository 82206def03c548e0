package zfs

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// DefaultLimit is the longest one zfs command may take. A command takes
// milliseconds, but a busy pool of spinning disks lets a snapshot wait for its
// next transaction group, which can be tens of seconds away.
const DefaultLimit = time.Minute

// formatLimit is the longest making a filesystem on a zvol may take. It discards
// the whole device first.
const formatLimit = 5 * time.Minute

// Config of a Driver.
type Config struct {
	// Roots are the datasets below which all volumes live; nothing outside is
	// looked at or touched. A volume without a source is kept below the first.
	Roots []string
	// Mounts is the directory on the host below which new volumes are mounted.
	Mounts string
	Owner  drivers.Owner
	// Limit is the longest one zfs command may take; 0 is DefaultLimit.
	Limit time.Duration
	// Look says that this process changes nothing: what a restart of the host
	// left unmounted is then reported, and not mounted.
	Look bool
	Now  func() time.Time // nil is time.Now
}

// Driver implements drivers.Storage on ZFS.
type Driver struct {
	cfg   Config
	guard guard
	pools []*pool

	mounting sync.Mutex // held while a zvol is mounted, so that none is twice

	mu    sync.Mutex           // guards what follows
	tried map[string]time.Time // when mounting a dataset last failed
	going map[string]bool      // datasets being destroyed, which no look mounts again
}

var _ drivers.Storage = (*Driver)(nil)

// New checks the configuration. Whether there is a ZFS is seen by the first look.
func New(cfg Config) (*Driver, error) {
	if len(cfg.Roots) == 0 {
		return nil, observed.Wrap("open storage", "zfs", observed.Refused, errors.New("no root is configured"),
			"set drivers.zfs.roots to the dataset that holds the tenants' data, such as tank/tenants")
	}
	for _, r := range cfg.Roots {
		if why := badName(r); why != "" {
			return nil, observed.Wrap("open storage", r, observed.Refused, errors.New("this root "+why), "set drivers.zfs.roots to names such as tank/tenants")
		}
	}
	if cfg.Limit == 0 {
		cfg.Limit = DefaultLimit
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	var err error
	if cfg.Mounts, err = filepath.Abs(cfg.Mounts); err != nil {
		return nil, observed.Wrap("open storage", cfg.Mounts, observed.Refused, err, "")
	}
	if !cfg.Look {
		// 0711: an instance run as another user must reach its volume below.
		if err := os.MkdirAll(cfg.Mounts, 0o711); err != nil {
			return nil, observed.Wrap("open storage", cfg.Mounts, observed.Refused, err, "set drivers.zfs.mounts to a folder this user may write")
		}
	}
	return &Driver{cfg: cfg, pools: poolsOf(cfg.Roots), tried: map[string]time.Time{}, going: map[string]bool{}}, nil
}

// Traits implements drivers.Storage.
func (d *Driver) Traits() drivers.StorageTraits {
	return drivers.StorageTraits{Name: "zfs", PointInTime: true, CheapClone: true, Promote: true, Tuned: true}
}
