package process_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody is the user id the tests run as once more.
const nobody = 65534

// All of the tests, once more as a user that has no privilege at all.
func TestRootless(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root: all tests of this run are without root")
	}
	serve, err := hub.bin()
	if err != nil {
		t.Fatal(err)
	}
	guest, err := hub.guest()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(hub.dir, "nobody-")
	if err != nil {
		t.Fatal(err)
	}
	self := filepath.Join(hub.dir, filepath.Base(dir)+".test")
	for _, err := range []error{os.Chmod(hub.dir, 0o755), os.Chown(dir, nobody, nobody), copyProgram(self)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.v", "-test.short", "-test.count=1")
	cmd.Dir = dir
	cmd.Env = []string{"TMPDIR=" + dir, "HOME=" + dir, envServe + "=" + serve, envGuest + "=" + guest, "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		progress := strings.HasPrefix(line, "=== ") || strings.Contains(line, "--- PASS")
		if strings.Contains(line, "--- SKIP") || err != nil && !progress {
			t.Log(strings.TrimRight(line, "\n"))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if passed := strings.Count(string(out), "--- PASS"); passed < 150 {
		t.Errorf("only %d tests passed:\n%s", passed, out)
	}
}

// copyProgram copies this test program to where everybody may execute it.
func copyProgram(to string) error {
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer from.Close()
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, from); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
