package process

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// The answers of a probe.
const (
	probeOverlay = "overlay"
	probeCopy    = "copy"
)

// probeMain finds out, in namespaces like an instance's, what this host allows
// in the directory it was given, and says so on the ready file.
func probeMain(dir string) int {
	ready := os.NewFile(fdReady, "ready")
	word, err := probe(dir)
	if err != nil {
		word = err.Error()
	}
	if _, err := io.WriteString(ready, word); err != nil {
		return exitNoExec
	}
	return 0
}

func probe(dir string) (string, error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return "", fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Chdir(dir); err != nil {
		return "", err
	}
	if fd, err := cloneMount("/dev/null", unix.MOUNT_ATTR_NOSUID); err != nil {
		return "", err
	} else {
		unix.Close(fd)
	}
	for _, d := range []string{"lower", rootDir, upperDir, workDir} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return "", err
		}
	}
	if err := os.WriteFile("lower/file", nil, 0o644); err != nil {
		return "", err
	}
	if proc, err := freshProc(); err != nil {
		return "", err
	} else {
		unix.Close(proc.fd)
	}
	if _, err := mountRoot(".", "lower", false); err != nil {
		return probeCopy, nil
	}
	// A whiteout is what a user namespace is most often denied.
	if err := os.Remove(filepath.Join(rootDir, "file")); err != nil {
		return probeCopy, nil
	}
	return probeOverlay, nil
}
