// Package examples_test holds the examples to what their READMEs promise.
package examples_test

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write new dry-run.txt files; read the diff")

// TestDryRun runs the command each README names, as its reader would, and
// compares with the dry-run.txt beside it.
func TestDryRun(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "reconcile")
	if out, err := exec.Command("go", "build", "-o", bin, "../cmd/reconcile").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	readmes, err := filepath.Glob("*/README.md")
	if err != nil || len(readmes) < 3 {
		t.Fatalf("examples with a README: %v, %v", readmes, err)
	}
	command := regexp.MustCompile(`(?m)^ +reconcile (--plans .* --dry-run)$`)
	for _, readme := range readmes {
		t.Run(filepath.Dir(readme), func(t *testing.T) {
			text, err := os.ReadFile(readme)
			if err != nil {
				t.Fatal(err)
			}
			m := command.FindSubmatch(text)
			if m == nil {
				t.Fatalf("%s names no dry-run", readme)
			}
			cmd := exec.Command(bin, append(strings.Fields(string(m[1])), "--state", filepath.Join(t.TempDir(), "absent"))...)
			cmd.Dir = ".."
			// No engine and no configuration of this machine shows through.
			cmd.Env = append(os.Environ(), "RECONCILE_CONFIG=/dev/null", "DOCKER_HOST=")
			out, err := cmd.Output()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 2 {
				t.Fatalf("ended with %v, want exit status 2 (there are changes)\n%s", err, out)
			}
			got := plain(string(out))
			golden := filepath.Join(filepath.Dir(readme), "dry-run.txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the dry-run is now (go test ./examples -update writes it):\n%s\nand was:\n%s", got, want)
			}
		})
	}
}

// plain leaves out what is about this machine: notes on what it is not, and on
// an engine it may or may not have.
func plain(out string) string {
	var keep []string
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "note: ") || strings.HasPrefix(line, "  → ") {
			continue
		}
		keep = append(keep, line)
	}
	return strings.Join(keep, "")
}
