package zfs

import (
	"context"
	"errors"
	"os/exec"
	"strings"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// symptom is a piece of what zfs says and what it means. Its exit status tells
// nothing, so that the text is what there is to tell errors apart; case does not
// count.
type symptom struct {
	text  string
	class observed.Class
	hint  string
}

// symptoms are searched in order; the first that is found counts.
var symptoms = []symptom{
	{"modules are not loaded", observed.Environment, "load the module: modprobe zfs"},
	{"modules cannot be auto-loaded", observed.Environment, "load the module: modprobe zfs"},
	{"failed to initialize the libzfs", observed.Environment, "load the module: modprobe zfs; its version must be that of the zfs command (zfs version)"},
	{"unable to open /dev/zfs", observed.Environment, "load the module: modprobe zfs; without root, look at the rights on /dev/zfs"},
	{"pool i/o is currently suspended", observed.Environment, "the pool lost its disks; look at `zpool status`, then `zpool clear`"},
	{"no such pool", observed.Environment, "the pool is not imported: `zpool import` lists what could be"},
	{"key not loaded", observed.Environment, "load the key of the encrypted dataset: `zfs load-key -r POOL`; it goes on by itself then"},
	{"key is not loaded", observed.Environment, "load the key of the encrypted dataset: `zfs load-key -r POOL`; it goes on by itself then"},
	{"out of space", observed.Environment, "free space in the pool (`zfs list -o space`), or raise the quota it is under; then it goes on by itself"},
	{"no space left on device", observed.Environment, "free space in the pool (`zfs list -o space`), then it goes on by itself"},
	{"quota exceeded", observed.Environment, "raise the quota of the parent dataset, or free space below it; then it goes on by itself"},
	{"read-only file system", observed.Environment, "the pool is imported read-only; look at `zpool get readonly`"},
	{"pool is read-only", observed.Environment, "the pool is imported read-only; look at `zpool get readonly`"},
	{"i/o error", observed.Environment, "look at `zpool status -v`"},
	{"failed to create mountpoint: permission denied", observed.Refused, "only root mounts on Linux: run reconcile as root"},
	{"permission denied", observed.Refused, "run reconcile as root, or delegate what docs/drivers-zfs.md lists with `zfs allow`"},
	{"insufficient privileges", observed.Refused, "run reconcile as root, or delegate what docs/drivers-zfs.md lists with `zfs allow`"},
	{"may only be mounted by root", observed.Refused, "only root mounts on Linux: run reconcile as root"},
	{"dependent clones", observed.Refused, "promote or destroy its clones first: `zfs get clones`"},
	{"has children", observed.Refused, "remove what lies below it first: `zfs list -r -t all`"},
	{"being held", observed.Refused, "look who holds it: `zfs holds`"},
	{"target pools differ", observed.Refused, "a clone is in the pool of its snapshot: give the volume a source there"},
	{"dataset is busy", observed.Refused, "look who uses it: `fuser -vm`, `zfs holds`, /proc/*/mountinfo"},
	{"target is busy", observed.Refused, "look who uses it: `fuser -vm`, /proc/*/mountinfo"},
	{"conflicting snapshot", observed.Refused, "two snapshots have the same name on both sides; rename or destroy one of them"},
	{"size is less than current used", observed.Refused, "give a quota that is larger than what is there"},
	{"size is greater than available", observed.Environment, "free space in the pool (`zfs list -o space`), or give a smaller reservation"},
	{"reservation is greater", observed.Refused, "give a smaller reservation, or free space in the pool"},
	{"must be power of", observed.Refused, "correct the volume's recordSize or size in the plan"},
	{"must be one of", observed.Refused, "correct the volume's fields in the plan; `man zfsprops` has the values"},
	{"invalid property", observed.Refused, "correct the volume's fields in the plan; `man zfsprops` has the values"},
	{"bad property", observed.Refused, "correct the volume's fields in the plan; `man zfsprops` has the values"},
	{"bad numeric value", observed.Refused, "correct the volume's sizes in the plan"},
	{"must be less than", observed.Refused, "correct the volume's sizes in the plan"},
	{"must be multiple of", observed.Refused, "give a size that is a multiple of the block size"},
	{"name is too long", observed.Refused, "give the volume a source with a shorter name"},
	{"dataset already exists", observed.Conflict, ""},
	{"dataset does not exist", observed.Conflict, ""},
	{"no such dataset", observed.Conflict, ""},
}

// problem makes a Problem of what a command said. What nothing is known about is
// Transient: every call may be repeated.
func problem(op, ref string, err error) error {
	if err == nil {
		return nil
	}
	var in *observed.Problem
	switch {
	case errors.As(err, &in):
		return observed.Wrap(op, ref, in.Class, err, "")
	case errors.Is(err, exec.ErrNotFound):
		return observed.Wrap(op, ref, observed.Environment, err, "install OpenZFS (zfsutils-linux), or say where zfs is: drivers.zfs.command")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return observed.Wrap(op, ref, observed.Transient, err, "")
	}
	text := strings.ToLower(err.Error())
	for _, s := range symptoms {
		if strings.Contains(text, s.text) {
			p := observed.Wrap(op, ref, s.class, err, s.hint)
			p.Full = strings.Contains(s.text, "space") || strings.Contains(s.text, "quota")
			return p
		}
	}
	return observed.Wrap(op, ref, observed.Transient, err, "")
}

// says reports whether zfs said this.
func says(err error, text string) bool {
	var r refusal
	return errors.As(err, &r) && strings.Contains(strings.ToLower(r.text), text)
}

// declined reports whether zfs said no to the very thing it was asked, and not for
// the state of what it runs on, or of the dataset.
func declined(err error) bool {
	var r refusal
	if !errors.As(err, &r) {
		return false
	}
	class := observed.ClassOf(problem("", "", err))
	return class == observed.Refused || class == observed.Transient
}

func refused(op, ref, text, hint string) error {
	return &observed.Problem{Op: op, Ref: ref, Class: observed.Refused, Text: text, Hint: hint}
}

func conflict(op, ref, text string) error {
	return &observed.Problem{Op: op, Ref: ref, Class: observed.Conflict, Text: text}
}
