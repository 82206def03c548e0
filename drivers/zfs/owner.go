package zfs

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
)

// own makes the folder of a new volume's data, with the owner and mode that the
// plan asks for.
func own(path string, v plans.Volume) error {
	if err := os.Mkdir(path, 0o755); err != nil && !os.IsExist(err) {
		return err
	}
	if v.Owner != "" {
		u, g, _ := strings.Cut(v.Owner, ":")
		uid, err := strconv.Atoi(u)
		if err != nil {
			return fmt.Errorf("owner %q: %w", v.Owner, err)
		}
		gid, err := strconv.Atoi(g)
		if err != nil {
			return fmt.Errorf("owner %q: %w", v.Owner, err)
		}
		if err := os.Chown(path, uid, gid); err != nil {
			return err
		}
	}
	mode := fs.FileMode(0o755)
	if v.Mode != "" {
		// The plan lets through what is permissions and nothing else.
		n, err := strconv.ParseUint(v.Mode, 8, 32)
		if err != nil {
			return fmt.Errorf("mode %q: %w", v.Mode, err)
		}
		mode = fs.FileMode(n) & fs.ModePerm
	}
	return os.Chmod(path, mode)
}
