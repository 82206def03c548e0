package dir_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/dir"
	"github.com/gitops-fleet/reconcile/drivers/drivertest"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

func TestStorage(t *testing.T) {
	var root string
	reopen := func(t *testing.T) drivers.Storage { return driver(t, root) }
	drivertest.RunStorage(t, drivertest.Storage{
		New: func(t *testing.T) drivers.Storage {
			root = t.TempDir()
			return driver(t, root)
		},
		Reopen: reopen,
		Volume: func(_ *testing.T, tenant, name string) plans.Volume {
			return plans.Volume{Source: filepath.Join("tenants", tenant, name)}
		},
		Foreign: func(t *testing.T, want drivers.VolumeOrder) func() error {
			// The driver puts the order's data where another's would be.
			probe, err := dir.New(dir.Config{Root: t.TempDir(), Owner: owner})
			if err != nil {
				t.Fatal(err)
			}
			set, err := probe.Create(t.Context(), "id", want)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(root, want.Volume.Source, filepath.Base(filepath.Dir(set.Path)), "precious")
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte("theirs"), 0o600); err != nil {
				t.Fatal(err)
			}
			return func() error {
				if b, err := os.ReadFile(file); err != nil || string(b) != "theirs" {
					return fmt.Errorf("foreign data became %q, %v", b, err)
				}
				return nil
			}
		},
		Use: use,
		BreakClone: func(t *testing.T, s drivers.Storage, snapshot string, want drivers.VolumeOrder) drivers.Storage {
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // the copy has begun when it first looks
			if _, err := s.Clone(ctx, "id", snapshot, want, nil); err == nil {
				t.Fatal("a cancelled clone was made")
			}
			return reopen(t)
		},
		BreakDestroy: func(t *testing.T, s drivers.Storage, id string) drivers.Storage {
			all, err := s.Observe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range all {
				if d.ID == id {
					doom(t, root, id)
					if err := os.Remove(filepath.Join(d.Path, "f")); err != nil { // the part that was removed
						t.Fatal(err)
					}
				}
			}
			return reopen(t)
		},
	})
}

// use mounts a dataset in a mount namespace of its own, as an instance does.
func use(t *testing.T, d observed.Dataset) func() {
	cmd := exec.Command("unshare", "-m", "-r", "--propagation", "private", "sh", "-c", `mount --bind "$0" "$0" && echo mounted && read line`, d.Path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatalf("mount in a namespace of its own: %v %s", err, errs.String())
	}
	return func() {
		in.Close()
		cmd.Wait()
	}
}
