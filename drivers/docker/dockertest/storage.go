package dockertest

import (
	"os"
	"path/filepath"
	"syscall"
)

// overlays says whether an overlay can be mounted with its layers in dir; if
// not, the engine copies every layer instead (vfs).
func overlays(dir string) bool {
	probe, err := os.MkdirTemp(dir, "overlay")
	if err != nil {
		return false
	}
	defer os.RemoveAll(probe)
	for _, d := range []string{"l", "u", "w", "m"} {
		if os.Mkdir(filepath.Join(probe, d), 0o700) != nil {
			return false
		}
	}
	m := filepath.Join(probe, "m")
	opts := "lowerdir=" + probe + "/l,upperdir=" + probe + "/u,workdir=" + probe + "/w"
	if syscall.Mount("overlay", m, "overlay", 0, opts) != nil {
		return false
	}
	return syscall.Unmount(m, syscall.MNT_DETACH) == nil
}
