package main

import (
	"os"
	"os/exec"
	"path/filepath"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/dir"
	"github.com/gitops-fleet/reconcile/drivers/zfs"
)

// storages makes the storage drivers: plain directories always, and ZFS where the
// host says which datasets are for it. A plan that asks for a driver the host
// does not have is refused by its preflight.
func (s settings) storages(owner drivers.Owner) (map[string]drivers.Storage, error) {
	plain, err := dir.New(dir.Config{Root: s.place(s.Drivers.Dir.Root, "volumes"), Owner: owner})
	if err != nil {
		return nil, err
	}
	made := map[string]drivers.Storage{"dir": plain}
	c := s.Drivers.ZFS
	if len(c.Roots) == 0 {
		return made, nil
	}
	if err := findZFS(c.Command); err != nil {
		return nil, err
	}
	// A look mounts nothing, so that its folder of mounts is the real one.
	mounts := c.Mounts
	if mounts == "" {
		mounts = s.at("zfs")
	}
	made["zfs"], err = zfs.New(zfs.Config{Roots: c.Roots, Mounts: mounts, Owner: owner, Limit: c.Limit.Std(), Look: s.scratch != ""})
	return made, err
}

// findZFS has zfs and zpool found in PATH, which is where the library looks.
// Whether they are there is said by the first look at the pool.
func findZFS(command string) error {
	path := os.Getenv("PATH")
	switch {
	case command != "":
		path = filepath.Dir(command) + ":" + path
	default:
		if _, err := exec.LookPath("zfs"); err == nil {
			return nil
		}
		path += ":/usr/sbin:/sbin" // where services and users other than root do not look
	}
	return os.Setenv("PATH", path)
}
