// Package vm runs Go programs in a small virtual machine with real OpenZFS, for
// what this machine's own kernel cannot do. `make vm` builds its image.
//
// A test of a package that needs ZFS looks like this:
//
//	// On the host this compiles the tests of this package and runs them in the VM.
//	func TestInVM(t *testing.T) { vm.Tests(t, vm.Config{Pool: "tank"}) }
//
//	// In the VM it finds the pool tank; on the host it is left out.
//	func TestSnapshot(t *testing.T) {
//		vm.Only(t)
//		…
//	}
//
// Any static program can be run, on a disk that outlives the machine, and the
// power can be cut:
//
//	m, err := vm.Need(t).Boot(ctx, vm.Config{
//		Files:   map[string]string{"writer": "/path/on/the/host"},
//		Disk:    disk, // of vm.NewDisk: /disk in the VM, and the rest the pool's
//		Pool:    "tank",
//		Forward: []int{8080},
//		Command: []string{"./writer", "-listen", ":8080"},
//	})
//	… m.Address(8080) …
//	m.Cut()
//
// In the VM: root, busybox, zfs, zpool, mkfs.ext4, mkfs.xfs, git, udev (so that
// zvols have their names below /dev/zvol), cgroup v2, user namespaces. Files are
// in /vm, which is in memory as everything is but /disk and the pools; what the
// command leaves in /out is copied to Config.Out.
package vm
