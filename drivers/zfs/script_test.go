package zfs

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/vm"
)

// answer is what the zfs of a script says to commands that begin so.
type answer struct {
	Begins string // the arguments, joined by blanks
	On     string // a word that is among them, "" for any
	Out    string
	Err    string        // and an exit status of 1
	Hangs  bool          // until the file "go" is in the script's folder
	Takes  time.Duration // before it answers
}

// TestMain is also the zfs of a script: this very binary under another name.
func TestMain(m *testing.M) {
	if name := filepath.Base(os.Args[0]); name == "zfs" || name == "zpool" {
		os.Exit(play(os.Getenv("ZFS_SCRIPT"), strings.Join(os.Args[1:], " ")))
	}
	os.Exit(m.Run())
}

func play(dir, args string) int {
	calls, err := os.OpenFile(filepath.Join(dir, "calls"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		fmt.Fprintln(calls, args)
		if l := os.Getenv("LC_ALL"); l != "C" {
			args = "in " + l + ": " + args // which no script has an answer to
		}
		calls.Close()
	}
	var script []answer
	b, err := os.ReadFile(filepath.Join(dir, "script"))
	if err == nil {
		err = json.Unmarshal(b, &script)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "script:", err)
		return 3
	}
	for _, a := range script {
		if !strings.HasPrefix(args, a.Begins) || !strings.Contains(args, a.On) {
			continue
		}
		for a.Hangs {
			if _, err := os.Stat(filepath.Join(dir, "go")); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(a.Takes)
		fmt.Print(a.Out)
		if a.Err != "" {
			fmt.Fprintln(os.Stderr, a.Err)
			return 1
		}
		return 0
	}
	fmt.Fprintln(os.Stderr, "the script has no answer to: zfs", args)
	return 3
}

// onHost leaves a test out in the VM: it needs no pool, and the VM is slow.
func onHost(t *testing.T) {
	t.Helper()
	if vm.Inside() {
		t.Skip("needs no pool")
	}
}

// script is a zfs that says what the test tells it to.
type script struct {
	t   *testing.T
	dir string
}

// scripted puts such a zfs into PATH.
func scripted(t *testing.T, answers ...answer) *script {
	t.Helper()
	onHost(t)
	s := &script{t, t.TempDir()}
	bin := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"zfs", "zpool"} {
		if err := os.Symlink(self, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	t.Setenv("ZFS_SCRIPT", s.dir)
	s.say(answers...)
	return s
}

func (s *script) say(answers ...answer) {
	s.t.Helper()
	b, err := json.Marshal(answers)
	if err == nil {
		err = os.WriteFile(filepath.Join(s.dir, "script"), b, 0o644)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// calls returns the commands that were run since it was last asked.
func (s *script) calls() []string {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "calls"))
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	os.Remove(filepath.Join(s.dir, "calls"))
	return lines(strings.TrimSpace(string(b)))
}
