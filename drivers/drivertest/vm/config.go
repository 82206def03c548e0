package vm

import (
	_ "embed" // init.sh
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Config says what runs in a VM, and on what.
type Config struct {
	// Command is run in /vm, with Env on top of PATH, HOME and LC_ALL.
	Command []string
	Env     map[string]string
	// Files of this machine, by their path below /vm.
	Files map[string]string
	// Disk is a file of NewDisk that outlives the machine; "" is one that does
	// not. Its first partition is mounted at /disk.
	Disk string
	// Pool is made on the disk, or imported if it is there; "" loads no ZFS.
	Pool string
	// Forward are ports of the VM that can be reached from here, see
	// Machine.Address. A program has to listen on all addresses for that.
	Forward []int
	// Out takes what the command leaves in /out; "" leaves it there.
	Out string
	// Memory in MiB (0: 2048) and CPUs (0: 2).
	Memory, CPUs int
	// Console takes the output as it comes; it is also kept, see Machine.Console.
	Console io.Writer
}

// The sizes of a machine that says nothing. The ARC of ZFS takes up to half of
// the memory, files and programs the rest.
const (
	defaultMemory = 2048
	defaultCPUs   = 2
)

// initScript is the first process of the VM.
//
//go:embed init.sh
var initScript string

// settings is what the first process of the VM reads.
func (c Config) settings() string {
	var b strings.Builder
	fmt.Fprintf(&b, "pool=%s\n", c.Pool)
	if len(c.Forward) > 0 {
		b.WriteString("net=yes\n")
	}
	if c.Out != "" {
		b.WriteString("out=yes\n")
	}
	return b.String()
}

// script is the command with its environment.
func (c Config) script(i Image) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#!/bin/sh\nexport %s=%s\n", insideVariable, i.Accel())
	for _, k := range sortedKeys(c.Env) {
		fmt.Fprintf(&b, "export %s=%s\n", k, quoted(c.Env[k]))
	}
	b.WriteString("exec")
	for _, word := range c.Command {
		b.WriteString(" " + quoted(word))
	}
	b.WriteString("\n")
	return b.String()
}

// initrd writes the first file system of the VM: what this configuration adds,
// then the image's own.
func (c Config) initrd(i Image, file string) (err error) {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := out.Close(); err == nil {
			err = cerr
		}
	}()
	a := &archive{w: out}
	if err := a.text("init", initScript); err != nil {
		return err
	}
	if err := a.text("vm/settings", c.settings()); err != nil {
		return err
	}
	if err := a.text("vm/command", c.script(i)); err != nil {
		return err
	}
	for _, name := range sortedKeys(c.Files) {
		if err := a.file("vm/"+name, c.Files[name]); err != nil {
			return err
		}
	}
	if err := a.close(); err != nil {
		return err
	}
	base, err := os.Open(filepath.Join(i.Dir, "base.cpio.zst"))
	if err != nil {
		return err
	}
	defer base.Close()
	_, err = io.Copy(out, base)
	return err
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// quoted is a word of the shell that means s.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
