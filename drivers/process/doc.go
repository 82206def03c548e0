// Package process is the embedded Runtime: it runs instances from OCI images
// without an engine, as root or not. It needs Linux 5.12 or newer and user
// namespaces; no daemon, no setuid helper.
//
// Each instance is one process tree in namespaces of its own (user, mount, pid,
// ipc, uts; the network is the host's). Process 1 of the tree is our own
// program, executed again as a shim: it sets up the file system, starts the
// command of the image, keeps its output in rotated files, starts it again
// while it is routed, writes its exit status down, and answers on a unix
// socket. It is no child that dies with the reconciler: a later reconciler
// finds it by the lock it holds. When it ends, for whatever reason, the kernel
// ends everything in its pid namespace and lets go of its mounts, so nothing
// can be left over but a directory.
//
// What is on disk, below Config.Root:
//
//	blobs/sha256-…         layers as the registry sent them, verified
//	images/sha256-….json   what a reference by digest is: platform manifest, config, layers
//	roots/sha256-…/        an image unpacked, shared and never written to
//	instances/T.S.N/       one instance: order.json (the mark of its owner),
//	                       state.json (what the shim saw), routed (restart by
//	                       itself), lock (held while it lives), sock, log, log.1,
//	                       and its writable layer
//	tmp/                   made aside and not yet (or no longer) in place
//
// Everything is made aside and renamed, so what bears its final name is whole.
package process
