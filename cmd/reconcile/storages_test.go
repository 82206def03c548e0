package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/schema"
)

// A host has zfs where its configuration says which datasets are for it, and a
// host without the command says what to install.
func TestStorages(t *testing.T) {
	var s settings
	s.State = t.TempDir()
	have, err := s.storages(drivers.Owner{Fleet: "f", Node: "n"})
	if err != nil || len(have) != 1 || have["dir"] == nil {
		t.Fatalf("without a configuration there are %v, %v", have, err)
	}
	// A zfs of our own, in a folder that nobody looks in.
	bin := t.TempDir()
	script := "#!/bin/sh\necho 'The ZFS modules are not loaded.' >&2\nexit 1\n"
	if err := os.WriteFile(filepath.Join(bin, "zfs"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", os.Getenv("PATH"))
	s.Drivers.ZFS = schema.ZFSConfig{Roots: []string{"tank/tenants"}, Command: filepath.Join(bin, "zfs")}
	have, err = s.storages(drivers.Owner{Fleet: "f", Node: "n"})
	if err != nil || have["zfs"] == nil {
		t.Fatalf("with roots there are %v, %v", have, err)
	}
	_, err = have["zfs"].Observe(context.Background())
	if observed.ClassOf(err) != observed.Environment || !strings.Contains(err.Error(), "not loaded") {
		t.Errorf("looked with another zfs than the configured one: %v", err)
	}
	if dir, err := os.Stat(filepath.Join(s.State, "zfs")); err != nil || !dir.IsDir() {
		t.Errorf("there is no folder to mount below: %v", err)
	}
	s.Drivers.ZFS.Roots = []string{"tank/../other"}
	if _, err := s.storages(drivers.Owner{}); observed.ClassOf(err) != observed.Refused {
		t.Errorf("a root that is no dataset: %v", err)
	}
}
