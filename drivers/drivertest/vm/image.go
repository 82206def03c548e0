package vm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Image is what a VM is booted from.
type Image struct {
	Dir   string // of the kernel, the root file system and the emulator
	About string // "kernel 6.12…, openzfs 2.3…, qemu 10…"
}

// ErrMissing says that there is no image.
var ErrMissing = errors.New("the image of the test VM is not there (make vm builds it, in about ten minutes)")

// Find returns the image of this tree; ErrMissing if it was not built.
func Find() (Image, error) {
	root, err := moduleRoot()
	if err != nil {
		return Image{}, err
	}
	out, err := exec.Command(filepath.Join(root, ".ci", "vm"), "path").Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 3 {
		return Image{}, ErrMissing
	}
	if err != nil {
		return Image{}, fmt.Errorf("find image: %w", err)
	}
	i := Image{Dir: strings.TrimSpace(string(out))}
	about, err := os.ReadFile(filepath.Join(i.Dir, "about"))
	if err != nil {
		return Image{}, fmt.Errorf("find image: %w", err)
	}
	i.About = strings.ReplaceAll(strings.TrimSpace(string(about)), "\n", ", ")
	return i, nil
}

// Need is Find for a test: without an image the test is skipped, and in CI it
// fails.
func Need(t testing.TB) Image {
	t.Helper()
	i, err := Find()
	if errors.Is(err, ErrMissing) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	file := string(bytes.TrimSpace(out))
	if err != nil || file == "" || file == os.DevNull {
		return "", fmt.Errorf("find this module: go env GOMOD says %q: %v", file, err)
	}
	return filepath.Dir(file), nil
}
