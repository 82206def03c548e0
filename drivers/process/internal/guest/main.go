// Command guest is what the tests of the process runtime run in an instance: it
// says what it sees, and tries what it must not be able to do.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("guest: want a word"))
	}
	word, args := os.Args[1], os.Args[2:]
	do, ok := words[word]
	if !ok {
		fail(fmt.Errorf("guest: unknown word %q", word))
	}
	if err := do(args); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

var words = map[string]func([]string) error{
	"sleep":   func([]string) error { return sleep() },
	"deaf":    func([]string) error { return deaf() },
	"quick":   quick,
	"brood":   brood,
	"report":  func([]string) error { return report() },
	"cat":     cat,
	"write":   write,
	"rm":      func(a []string) error { return os.Remove(a[0]) },
	"ls":      ls,
	"mount":   func(a []string) error { return syscall.Mount("tmpfs", a[0], "tmpfs", 0, "") },
	"umount":  func(a []string) error { return syscall.Unmount(a[0], 0) },
	"node":    func(a []string) error { return syscall.Mknod(a[0], syscall.S_IFBLK|0o600, 1) },
	"look":    func([]string) error { return look() },
	"spam":    spam,
	"killone": func([]string) error { return syscall.Kill(1, syscall.SIGKILL) },
}

// sleep lasts until SIGTERM, and says that it is there.
func sleep() error {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM, syscall.SIGUSR1)
	fmt.Println("ready")
	fmt.Println("got", <-c)
	return nil
}

// deaf lasts until it is killed.
func deaf() error {
	signal.Ignore(syscall.SIGTERM)
	fmt.Println("ready")
	for {
		time.Sleep(time.Hour)
	}
}

// look succeeds if anything of process 1 can be got at.
func look() error {
	for _, name := range []string{"fd/3", "root", "cwd", "exe"} {
		if to, err := os.Readlink("/proc/1/" + name); err == nil {
			fmt.Println(name, to)
			return nil
		}
	}
	_, err := os.ReadFile("/proc/1/environ")
	return err
}

// quick exits with a status after a while.
func quick(args []string) error {
	after, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	time.Sleep(after)
	code, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	os.Exit(code)
	return nil
}

// brood leaves children behind that left its session and do not hear SIGTERM.
func brood(args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	for range n {
		c := exec.Command("/proc/self/exe", "deaf")
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		out, err := c.StdoutPipe()
		if err != nil {
			return err
		}
		if err := c.Start(); err != nil {
			return err
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil { // it is deaf by now
			return err
		}
	}
	fmt.Println("brooded")
	if len(args) > 1 {
		return sleep()
	}
	return nil
}

// Report is what a guest sees of itself.
type Report struct {
	UID, GID  int
	Groups    []int
	Dir, Host string
	Env       []string
	Status    map[string]string // some lines of /proc/self/status
	Pids      []string          // that /proc shows
	Dev       []string
}

func report() error {
	r := Report{UID: os.Getuid(), GID: os.Getgid(), Env: os.Environ(), Status: map[string]string{}}
	r.Groups, _ = os.Getgroups()
	r.Dir, _ = os.Getwd()
	r.Host, _ = os.Hostname()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "CapEff", "CapBnd", "NoNewPrivs":
			r.Status[name] = strings.TrimSpace(value)
		}
	}
	pids, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	for _, p := range pids {
		r.Pids = append(r.Pids, filepath.Base(p))
	}
	entries, err := os.ReadDir("/dev")
	if err != nil {
		return err
	}
	for _, e := range entries {
		r.Dev = append(r.Dev, e.Name())
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

func cat(args []string) error {
	b, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(b)
	return err
}

func write(args []string) error { return os.WriteFile(args[0], []byte(args[1]), 0o644) }

func ls(args []string) error {
	entries, err := os.ReadDir(args[0])
	if err != nil {
		return err
	}
	for _, e := range entries {
		fmt.Println(e.Name())
	}
	return nil
}

// spam says n numbered lines of 100 bytes, and then sleeps.
func spam(args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	for i := range n {
		fmt.Fprintf(out, "%099d\n", i)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return sleep()
}
