package zfs

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	gozfs "github.com/mistifyio/go-zfs/v3"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// entry is one dataset or snapshot as zfs shows it.
type entry struct {
	name   string
	values map[string]string
	set    map[string]bool // properties set on the dataset itself
}

func (e *entry) value(property string) string { return e.values[property] }

// local is a property's value where it is set on the dataset itself.
func (e *entry) local(property string) string {
	if e.set[property] {
		return e.values[property]
	}
	return ""
}

func (e *entry) number(property string) int64 {
	n, err := strconv.ParseInt(e.values[property], 10, 64)
	if err != nil {
		return 0 // "-" or "none"
	}
	return n
}

func (e *entry) snapshot() bool { return strings.Contains(e.name, "@") }
func (e *entry) zvol() bool     { return e.value("type") == gozfs.DatasetVolume }
func (e *entry) origin() string { return e.value("origin") }
func (e *entry) locked() bool   { return e.value("keystatus") == "unavailable" }

func (e *entry) created() time.Time {
	if s := e.number("creation"); s > 0 {
		return time.Unix(s, 0).UTC()
	}
	return time.Time{}
}

// clones are the names of what was cloned from a snapshot.
func (e *entry) clones() []string {
	if c := e.value("clones"); c != "" {
		return strings.Split(c, ",")
	}
	return nil
}

// dataset is the entry in the words of the core, but for what others say of it.
func (e *entry) dataset() observed.Dataset {
	return observed.Dataset{
		ID: e.name, Tenant: e.value(markTenant), Volume: e.value(markVolume), Slot: slotOf(e.value(markSlot)),
		Role: observed.Role(e.value(markRole)), Attempt: e.value(markAttempt), Generation: e.value(markGeneration),
		Created: e.created(), Tuning: tuningOf(e.local(markTuning)),
		Lacks: strings.ReplaceAll(e.local(markLacks), ",", ", "),
	}
}

// What is asked of a dataset, and of a snapshot.
var (
	datasetProperties = []string{
		"type", "creation", "used", "usedbydataset", "referenced", "available", "written", "origin", "mounted", "mountpoint", "canmount", "keystatus", "userrefs", "clones",
		markFleet, markNode, markTenant, markVolume, markSlot, markRole, markAttempt, markGeneration, markReady, markInside, markMount, markKind, markParent, markTuning, markLacks,
	}
	snapshotProperties = []string{
		"type", "creation", "used", "referenced", "userrefs", "clones",
		markFleet, markNode, markTenant, markVolume, markSlot, markRole, markAttempt, markGeneration,
	}
)

// entries parses the output of `zfs get -H -p -o name,property,value,source`.
func entries(out string) (list []*entry, err error) {
	byName := map[string]*entry{}
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 4 {
			return nil, fmt.Errorf("zfs get printed %q, which has not four columns", line)
		}
		e := byName[f[0]]
		if e == nil {
			e = &entry{name: f[0], values: map[string]string{}, set: map[string]bool{}}
			byName[f[0]] = e
			list = append(list, e)
		}
		if f[2] != "-" || f[3] != "-" {
			e.values[f[1]] = f[2]
		}
		if f[3] == "local" {
			e.set[f[1]] = true
		}
	}
	return list, nil
}

// rows parses the output of `zfs list -H -p -o name,…` for the properties.
func rows(out string, properties []string) (list []*entry, err error) {
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != len(properties)+1 {
			return nil, fmt.Errorf("zfs list printed %q, which has not %d columns", line, len(properties)+1)
		}
		e := &entry{name: f[0], values: make(map[string]string, len(properties))}
		for i, p := range properties {
			if v := f[i+1]; v != "-" && v != "" {
				e.values[p] = v
			}
		}
		list = append(list, e)
	}
	return list, nil
}

// look returns the named datasets and snapshots that are there. That one is not
// there is known only where its root is: of a pool that is not imported nothing is.
func (d *Driver) look(ctx context.Context, names ...string) (map[string]*entry, error) {
	pool := poolOf(names[0])
	args := append([]string{"get", "-H", "-p", "-o", "name,property,value,source", strings.Join(datasetProperties, ",")}, names...)
	out, err := d.zfs(ctx, pool, args...)
	if err != nil && !says(err, "does not exist") {
		return nil, err
	}
	list, perr := entries(out)
	if perr != nil {
		return nil, perr
	}
	found := make(map[string]*entry, len(list))
	for _, e := range list {
		found[e.name] = e
	}
	if err != nil {
		if err := d.rooted(ctx, found, names...); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// rooted fails unless the roots of the names are there to be seen. What was found
// below one shows that it is.
func (d *Driver) rooted(ctx context.Context, found map[string]*entry, names ...string) error {
	var roots []string
	for _, n := range names {
		if r := d.root(n); r != "" && !slices.Contains(roots, r) {
			roots = append(roots, r)
		}
	}
	for name := range found {
		roots = slices.DeleteFunc(roots, func(r string) bool { return r == d.root(name) })
	}
	for _, r := range roots {
		if _, err := d.zfs(ctx, poolOf(r), "list", "-H", "-o", "name", r); err != nil {
			return rootless(r, err)
		}
	}
	return nil
}

// rootless is the problem of a root that cannot be looked at.
func rootless(root string, err error) error {
	if !says(err, "does not exist") && !says(err, "no such pool") {
		return err
	}
	return observed.Wrap("", "", observed.Environment, fmt.Errorf("the root %s cannot be seen: %w", root, err),
		"import its pool (`zpool import "+poolOf(root)+"`), or make it once with `zfs create "+root+"`; it goes on by itself then")
}

// one returns a dataset or snapshot by its name; nil if there is none. A name
// outside the roots is none of ours and is not looked at.
func (d *Driver) one(ctx context.Context, name string) (*entry, error) {
	of, snap, _ := strings.Cut(name, "@")
	if badName(of) != "" || snap != "" && badName(snap) != "" || d.root(name) == "" {
		return nil, nil
	}
	found, err := d.look(ctx, name)
	return found[name], err
}

// there returns a dataset or snapshot of ours.
func (d *Driver) there(ctx context.Context, op, name string) (*entry, error) {
	e, err := d.one(ctx, name)
	switch {
	case err != nil:
		return nil, problem(op, name, err)
	case !d.ours(e) && !d.oursSnapshot(e):
		return nil, conflict(op, name, "there is no such dataset of ours")
	}
	return e, nil
}
