// Package zfs keeps volumes as ZFS datasets, or as filesystems on zvols. A
// snapshot over all volumes of a tenant is one atomic act, a clone is there at
// once whatever its size, and a promoted clone needs nothing of what it came from.
//
// What a dataset is stands in its user properties (reconcile:fleet, :node,
// :tenant, :volume, :slot, :role, :attempt, :generation), set by the very act
// that makes it. A property counts only where it is local: what lies below a
// dataset of ours, or was received from one, is not ours. Names are for people;
// only what an interrupted call left is found by its name.
//
// The driver works below the roots of its configuration and nowhere else. It
// never destroys recursively, never forces, and never unmounts what somebody
// uses: what ZFS refuses is a Refused problem that says by whom.
//
// Types, creation and single datasets go through go-zfs. Its runner takes no
// context, so that its calls are given up at a deadline and refused until the
// one that hangs has ended (see guard). What it lacks, or cannot do as one act
// (promote, holds, several snapshots at once, listing with the source of each
// property, destroy that says why not), is a zfs command of our own.
package zfs
