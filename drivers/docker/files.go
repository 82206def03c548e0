package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// checkFiles refuses files that would not be where the plan says: those below a
// mount would end in the volume, or be hidden by it.
func checkFiles(want plans.Instance) error {
	for _, path := range slices.Sorted(maps.Keys(want.Spec.Files)) {
		for _, mount := range slices.Sorted(maps.Keys(want.Volumes)) {
			if below(path, mount) {
				return fmt.Errorf("file %s lies in the volume mounted at %s", path, mount)
			}
		}
		for _, mount := range want.Spec.Tmpfs {
			if mount, _, _ = strings.Cut(mount, ":"); below(path, mount) {
				return fmt.Errorf("file %s lies in the memory mounted at %s", path, mount)
			}
		}
	}
	return nil
}

func below(path, dir string) bool {
	return strings.HasPrefix(path+"/", strings.TrimRight(dir, "/")+"/")
}

// copyFiles puts the plan's files into a container that is not started yet.
func (r *Runtime) copyFiles(ctx context.Context, id string, spec plans.Service) error {
	if len(spec.Files) == 0 {
		return nil
	}
	content, err := archive(spec)
	if err != nil {
		return &observed.Problem{Class: observed.Refused, Text: err.Error()}
	}
	_, err = r.cli.CopyToContainer(ctx, id, client.CopyToContainerOptions{
		DestinationPath: "/", Content: bytes.NewReader(content),
	})
	return err
}

// archive packs the files at their paths. A file belongs to the user the
// service runs as where the plan names that by number, so that a mode of 0400
// is of use; else to root. The time is fixed: the same order, the same bytes.
func archive(spec plans.Service) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	uid, gid := owner(spec.User)
	for _, path := range slices.Sorted(maps.Keys(spec.Files)) {
		f := spec.Files[path]
		content := f.Bytes()
		mode := int64(0o444)
		if f.Mode != "" {
			m, err := strconv.ParseInt(f.Mode, 8, 32)
			if err != nil {
				return nil, fmt.Errorf("mode %q of %s: not an octal number", f.Mode, path)
			}
			mode = m
		}
		h := &tar.Header{
			Name: strings.TrimPrefix(path, "/"), Mode: mode, Size: int64(len(content)), Typeflag: tar.TypeReg,
			ModTime: time.Unix(0, 0), Uid: uid, Gid: gid,
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("pack %s: %w", path, err)
		}
		if _, err := w.Write(content); err != nil {
			return nil, fmt.Errorf("pack %s: %w", path, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack files: %w", err)
	}
	return buf.Bytes(), nil
}

func owner(user string) (uid, gid int) {
	u, g, _ := strings.Cut(user, ":")
	uid, err := strconv.Atoi(u)
	if err != nil {
		return 0, 0
	}
	if gid, err = strconv.Atoi(g); err != nil {
		gid = 0
	}
	return uid, gid
}
