// Package durability has no code of its own: its tests show that upgrades lose
// no acknowledged write. The real binaries run a writer on real ZFS, in the VM of
// drivertest/vm, under load, are killed at every boundary, and have their power
// cut; the same stories run on plain directories on the host.
//
// The long forms are run by -soak.
package durability
