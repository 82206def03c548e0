package drivers

import "fmt"

// DefaultKeepFree is what stays free of every disk for undoing, in bytes, where
// the host's configuration names no other floor: enough for the specs, logs and
// small writes of a way back that copies nothing.
const DefaultKeepFree = 64 << 20

// Size writes bytes for people, 1024-based.
func Size(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f, u := float64(n), 0
	for f >= 1024 && u < len(units)-1 {
		f, u = f/1024, u+1
	}
	if u == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[u])
}
