package vm

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Only leaves a test out where it does not run in the VM.
func Only(t testing.TB) {
	t.Helper()
	if !Inside() {
		t.Skip("runs in the VM only")
	}
}

// Tests compiles the tests of the package it is called from, runs them in a VM,
// and tells what came of each as a subtest. c.Command are flags of theirs
// ("-soak"); RECONCILE_VM_RUN=PATTERN in the environment runs only some. In the
// VM it does nothing.
func Tests(t *testing.T, c Config) {
	t.Helper()
	if Inside() {
		t.Skip("runs on the host only: it starts the VM")
	}
	if testing.Short() {
		t.Skip("boots a VM: left out with -short")
	}
	image := Need(t)
	files := map[string]string{"package.test": Compile(t)}
	for to, from := range c.Files {
		files[to] = from
	}
	c.Files = files
	c.Command = append([]string{"/vm/package.test", "-test.v", "-test.timeout=" + timeLeft(t).String(),
		"-test.run=" + os.Getenv(runVariable)}, c.Command...)
	if testing.Verbose() {
		c.Console = os.Stdout
	}
	began := time.Now()
	m := image.Up(t, c)
	exit, err := m.Wait()
	t.Logf("%s, %s: %s", image.About, image.Accel(), time.Since(began).Round(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	results := parse(m.Console())
	failed := false
	for _, r := range results {
		failed = failed || r.verdict == "FAIL"
		t.Run(r.name, func(t *testing.T) {
			switch r.verdict {
			case "FAIL":
				t.Error(r.text)
			case "SKIP":
				t.Skip(r.text)
			}
		})
	}
	if len(results) == 0 || exit != 0 && !failed {
		t.Errorf("the tests ended with status %d in the VM:\n%s", exit, m.Console())
	}
}

// Compile compiles the tests of the package it is called from for the VM, and
// returns the binary's path here.
func Compile(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "package.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("compile the tests of this package: %v\n%s", err, out)
	}
	return binary
}

// runVariable holds a pattern of tests, for a person who looks for something.
const runVariable = "RECONCILE_VM_RUN"

// slack is what the host needs after the tests in the VM ran out of time.
const slack = 15 * time.Second

func timeLeft(t *testing.T) time.Duration {
	end, ok := t.Deadline()
	if !ok {
		return 0
	}
	return max(time.Until(end)-slack, time.Second).Round(time.Second)
}

// result is what became of one test that has no tests of its own.
type result struct{ name, verdict, text string }

var (
	began   = regexp.MustCompile(`^=== (RUN|CONT|NAME|PAUSE) +(\S+)$`)
	verdict = regexp.MustCompile(`^ *--- (PASS|FAIL|SKIP): (\S+) \(`)
)

// parse reads the output of a test binary with -test.v.
func parse(console string) []result {
	texts := map[string]*strings.Builder{}
	current := ""
	var all []result
	lines := bufio.NewScanner(strings.NewReader(console))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if m := began.FindStringSubmatch(line); m != nil {
			current = m[2]
			continue
		}
		if m := verdict.FindStringSubmatch(line); m != nil {
			all = append(all, result{name: m[2], verdict: m[1]})
			current = ""
			continue
		}
		if texts[current] == nil {
			texts[current] = &strings.Builder{}
		}
		fmt.Fprintln(texts[current], line)
	}
	var leaves []result
	for _, r := range all {
		parent := false
		for _, other := range all {
			parent = parent || strings.HasPrefix(other.name, r.name+"/")
		}
		if text := texts[r.name]; text != nil {
			r.text = text.String()
		}
		// A test with subtests is told by them, unless it failed by itself.
		if !parent || r.verdict == "FAIL" && r.text != "" {
			leaves = append(leaves, r)
		}
	}
	return leaves
}
