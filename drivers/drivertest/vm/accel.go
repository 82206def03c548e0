package vm

import (
	"cmp"
	"os"
)

// Accel says how the VM computes: kvm where the kernel offers it, else tcg,
// software emulation, which is some ten to fifty times slower. RECONCILE_VM_ACCEL=tcg
// forces the latter.
func Accel() string {
	if forced := os.Getenv(accelVariable); forced != "" {
		return forced
	}
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return "tcg"
	}
	f.Close()
	return "kvm"
}

const accelVariable = "RECONCILE_VM_ACCEL"

// Inside says whether this process runs in the VM.
func Inside() bool { return os.Getenv(insideVariable) != "" }

// insideVariable holds how the VM computes, in the VM.
const insideVariable = "RECONCILE_VM_INSIDE"

// Slow says that this process runs in a VM without hardware support: tests then
// do less of the same.
func Slow() bool { return cmp.Or(os.Getenv(insideVariable), "kvm") != "kvm" }
