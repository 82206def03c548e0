package vm

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Accel says how a VM computes: kvm where this machine can, else tcg, software
// emulation, which is some ten to fifty times slower. RECONCILE_VM_ACCEL=tcg
// forces the latter.
func (i Image) Accel() string {
	probed.Do(func() { probed.accel = cmp.Or(os.Getenv(accelVariable), i.probe()) })
	return probed.accel
}

// probed is what this machine can, found out once.
var probed struct {
	sync.Once
	accel string
}

// probe starts an emulator that is told to quit at once: a /dev/kvm that is
// there may still refuse this processor. One without hardware behind it (pvm)
// runs kernels made for it only.
func (i Image) probe() string {
	hardware, err := filepath.Glob("/sys/module/kvm_[ai]*") // kvm_amd, kvm_intel
	if err != nil || len(hardware) == 0 {
		return "tcg"
	}
	cmd := i.qemu("-machine", "q35", "-accel", "kvm", "-cpu", cpuModel, "-nodefaults", "-display", "none", "-S", "-monitor", "stdio")
	cmd.Stdin = strings.NewReader("quit\n")
	if cmd.Run() != nil {
		return "tcg"
	}
	return "kvm"
}

// cpuModel has all that the processor (or the emulation) has, but for a register
// that nested virtualization may refuse to set.
const cpuModel = "max,arch-capabilities=off"

const accelVariable = "RECONCILE_VM_ACCEL"

// Inside says whether this process runs in the VM.
func Inside() bool { return os.Getenv(insideVariable) != "" }

// insideVariable holds how the VM computes, in the VM.
const insideVariable = "RECONCILE_VM_INSIDE"

// Slow says that this process runs in a VM without hardware support: tests then
// do less of the same.
func Slow() bool { return cmp.Or(os.Getenv(insideVariable), "kvm") != "kvm" }
