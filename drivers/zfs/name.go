package zfs

import (
	"fmt"
	"path"
	"strings"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// longest is the longest name of a dataset of ours. ZFS allows 255 characters
// with the name of a snapshot; the rest is for that.
const longest = 200

// badName says what is wrong with the name of a dataset, "" if nothing is. What
// it lets through is a part of what ZFS allows (zfs(8), "ZFS Component Naming
// Requirements"), and nothing that a command would take for an option, a
// snapshot, a bookmark or a pattern.
func badName(name string) string {
	if len(name) > longest {
		return fmt.Sprintf("is longer than %d characters", longest)
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "":
			return "has an empty part between its slashes"
		case part == "." || part == ".." || part[0] == '-':
			return "has the part " + part + ", which is no name"
		}
		for _, c := range part {
			if !nameByte(c) {
				return fmt.Sprintf("has the character %q", c)
			}
		}
	}
	return ""
}

func nameByte(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("_.:-", c)
}

// clean makes a word part of a name.
func clean(s string) string {
	return strings.Map(func(c rune) rune {
		if nameByte(c) {
			return c
		}
		return '-'
	}, s)
}

func poolOf(name string) string {
	pool, _, _ := strings.Cut(name, "/")
	pool, _, _ = strings.Cut(pool, "@")
	return pool
}

// parentOf is the dataset a name lies in; of a snapshot, what it was taken of.
func parentOf(name string) string {
	if of, _, snap := strings.Cut(name, "@"); snap {
		return of
	}
	return path.Dir(name)
}

// root returns the configured root a dataset lies at or below, "" if there is none.
func (d *Driver) root(name string) string {
	name, _, _ = strings.Cut(name, "@")
	for _, r := range d.cfg.Roots {
		if name == r || strings.HasPrefix(name, r+"/") {
			return r
		}
	}
	return ""
}

// source turns a plan's source into the name of a dataset that is no root's
// outside. "" is a parent of the tenant's own below the first root.
func (d *Driver) source(op string, want drivers.VolumeOrder) (string, error) {
	name := want.Volume.Source
	if name == "" {
		return d.cfg.Roots[0] + "/" + clean(want.Tenant), nil
	}
	if why := badName(name); why != "" {
		return "", refused(op, name, "the source "+why, "give the name of a dataset, such as "+d.cfg.Roots[0]+"/{{tenant}}")
	}
	if d.root(name) == "" {
		return "", refused(op, name, "the source is not below "+strings.Join(d.cfg.Roots, " or "),
			"give a source below it, or add its parent to drivers.zfs.roots of this host")
	}
	return name, nil
}

// leaf is the last part of the name of an order's dataset.
func leaf(want drivers.VolumeOrder) string {
	slot := string(want.Slot)
	if slot == "" {
		slot = "shared"
	}
	parts := []string{want.Tenant, want.Name, slot}
	if want.Role != observed.Live {
		parts = append(parts, string(want.Role))
	}
	if want.Attempt != "" {
		parts = append(parts, want.Attempt)
	}
	return clean(strings.Join(parts, "."))
}

// snapName is the name of an attempt's snapshot, after the @.
func snapName(attempt string) string {
	if attempt == "" {
		attempt = "first"
	}
	return clean(attempt) + "." + string(observed.Origin)
}
