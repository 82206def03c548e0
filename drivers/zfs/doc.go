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
// New filesystems and zvols are made by go-zfs, with all their properties. Its
// runner takes no context, so that its calls are given up at a deadline and refused
// until the one that hangs has ended (see guard); nor an environment, so that the
// first of them sets LC_ALL=C in this process. What go-zfs lacks, or cannot do as
// one act, is a zfs command of our own: clones with their marks, several snapshots
// at once, several properties at once, promotion, holds, listing with the source of
// each property, and a destroy that says why not.
package zfs
