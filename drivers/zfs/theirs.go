package zfs

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// notTheirs are properties that a clone does not get from what it was cloned from,
// though somebody set them there.
var notTheirs = map[string]bool{
	"mountpoint": true, "canmount": true, "zoned": true, "jailed": true, // where it is, which is the driver's
	"sharenfs": true, "sharesmb": true, // the same data at two places of the network
	"reservation": true, "refreservation": true, // room taken a second time: by a plan only
	"volsize": true, "volblocksize": true, // it has those of its snapshot
	"encryption": true, "keyformat": true, "keylocation": true, "pbkdf2iters": true, // it has the key of its origin
	"filesystem_count": true, "snapshot_count": true, // counted, and shown as if they were set
}

// unlimited are the limits that were taken back, as -p has them, which no command
// takes. They are not inherited, so that to have none nothing needs to be set.
var unlimited = map[string]string{
	"quota": "0", "refquota": "0", "filesystem_limit": "18446744073709551615", "snapshot_limit": "18446744073709551615",
}

// theirs are the properties that somebody else than us set on a dataset, or that
// were received with it, as far as a clone of it can have them: neither ours, nor
// what a Tuning named. A clone inherits from its parent, and none of these.
func (d *Driver) theirs(ctx context.Context, of *entry) (map[string]string, error) {
	out, err := d.zfs(ctx, poolOf(of.name), "get", "-H", "-p", "-o", "source,property,value", "-s", "local,received", "all", of.name)
	if err != nil {
		return nil, err
	}
	props := setByHand(out)
	for _, field := range fieldsOf(of.local(markTuning)) {
		delete(props, tuned[field].property)
	}
	return props, nil
}

// setByHand parses what zfs printed of the properties set on a dataset. A value may
// hold tabs and lines of its own.
func setByHand(out string) map[string]string {
	props, last := map[string]string{}, ""
	for line := range strings.Lines(out) {
		source, rest, _ := strings.Cut(line, "\t")
		name, value, found := strings.Cut(rest, "\t")
		if found && (source == "local" || source == "received") {
			last, props[name] = name, value
		} else {
			props[last] += line
		}
	}
	delete(props, "")
	for name, value := range props {
		props[name] = strings.TrimSuffix(value, "\n")
		if none, limit := unlimited[name]; notTheirs[name] || strings.HasPrefix(name, ownPrefix) || limit && props[name] == none {
			delete(props, name)
		}
	}
	return props
}

// give sets on a clone, one by one, what it could not be made with, and marks it
// with the names of what it could not be given either. No upgrade fails for them.
func (d *Driver) give(ctx context.Context, clone *entry, theirs map[string]string) error {
	had := clone.local(markLacks)
	var lacks []string
	for _, name := range slices.Sorted(maps.Keys(theirs)) {
		if !slices.Contains(strings.Split(had, ","), name) {
			continue
		}
		err := d.set(ctx, clone.name, map[string]string{name: theirs[name]})
		switch {
		case err == nil:
		case declined(err):
			lacks = append(lacks, name)
		default:
			return err
		}
	}
	switch now := strings.Join(lacks, ","); now {
	case had:
		return nil
	case "":
		_, err := d.zfs(ctx, poolOf(clone.name), "inherit", markLacks, clone.name)
		return err
	default:
		return d.set(ctx, clone.name, map[string]string{markLacks: now})
	}
}
