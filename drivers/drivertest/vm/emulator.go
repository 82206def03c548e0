package vm

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
)

// emulator is the command that runs a machine.
func (i Image) emulator(c Config, m *Machine) *exec.Cmd {
	memory, cpus := c.Memory, c.CPUs
	if memory == 0 {
		memory = defaultMemory
	}
	if cpus == 0 {
		cpus = defaultCPUs
	}
	args := []string{
		"-machine", "q35", "-cpu", cpuModel, "-smp", strconv.Itoa(cpus), "-m", strconv.Itoa(memory),
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-kernel", filepath.Join(i.Dir, "vmlinuz"), "-initrd", m.path("initrd"),
		"-append", "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on",
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
		"-chardev", "socket,id=control,path=" + m.path("control"), "-serial", "chardev:control",
		"-device", "virtio-rng-pci",
	}
	// A flush of the guest is one of ours: what it flushed outlives a cut.
	for n, file := range []string{c.Disk, m.path("out")} {
		args = append(args,
			"-drive", fmt.Sprintf("if=none,id=d%d,file=%s,format=raw,cache=writeback,discard=unmap", n, file),
			"-device", fmt.Sprintf("virtio-blk-pci,drive=d%d", n))
	}
	accel := i.Accel()
	if accel == "tcg" {
		accel = "tcg,thread=multi,tb-size=512"
	}
	args = append(args, "-accel", accel)
	if len(c.Forward) > 0 {
		network := "user,id=n0,restrict=on"
		for there, here := range m.ports {
			network += fmt.Sprintf(",hostfwd=tcp:%s-:%d", here, there)
		}
		args = append(args, "-netdev", network, "-device", "virtio-net-pci,netdev=n0,romfile=")
	}
	return i.qemu(args...)
}

// qemu is the image's emulator, with its own libraries.
func (i Image) qemu(args ...string) *exec.Cmd {
	root := filepath.Join(i.Dir, "qemu", "usr")
	libraries := filepath.Join(root, "lib", "x86_64-linux-gnu")
	return exec.Command(filepath.Join(libraries, "ld-linux-x86-64.so.2"), append([]string{
		"--library-path", libraries, filepath.Join(root, "bin", "qemu-system-x86_64"),
		"-L", filepath.Join(root, "share", "seabios"), "-L", filepath.Join(root, "share", "qemu"),
	}, args...)...)
}
