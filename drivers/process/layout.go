package process

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
)

// Names below the root, and in the directory of an instance.
const (
	blobsDir     = "blobs"
	imagesDir    = "images"
	rootsDir     = "roots"
	instancesDir = "instances"
	tmpDir       = "tmp"

	orderFile  = "order.json"
	stateFile  = "state.json"
	routedFile = "routed"
	lockFile   = "lock"
	sockFile   = "sock"
	logFile    = "log"
	oldLogFile = "log.1"
	shimLog    = "shim.log" // what the shim itself has to say, should it crash
	upperDir   = "upper"    // of overlayfs
	workDir    = "work"     // of overlayfs
	rootDir    = "root"     // where the instance's root is mounted, or its copy
)

// A name of a tenant or service as plans allow it: no dot, so that the three
// parts of an instance's directory name cannot be confused.
var safeName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// dirName is the name of an instance's directory.
func dirName(k plans.Key) (string, error) {
	for _, part := range []string{k.Tenant, string(k.Slot), k.Service} {
		if !safeName.MatchString(part) {
			return "", fmt.Errorf("%q is no name for a tenant, slot or service: small letters, digits and dashes only", part)
		}
	}
	return k.Tenant + "." + string(k.Slot) + "." + k.Service, nil
}

// keyOf reads the key back from a directory's name.
func keyOf(dir string) (plans.Key, bool) {
	parts := strings.Split(dir, ".")
	if len(parts) != 3 {
		return plans.Key{}, false
	}
	k := plans.Key{Tenant: parts[0], Slot: plans.Slot(parts[1]), Service: parts[2]}
	name, err := dirName(k)
	return k, err == nil && name == dir
}

func (r *Runtime) path(parts ...string) string {
	return filepath.Join(append([]string{r.cfg.Root}, parts...)...)
}
