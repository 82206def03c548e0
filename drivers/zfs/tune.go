package zfs

import (
	"context"
	"slices"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
)

// tuned are the properties of the fields of a Tuning, the value that takes each
// back ("" is what the parent has), and whether it is of files, which a zvol has
// not.
var tuned = map[string]struct {
	property, none string
	files          bool
}{
	"compression": {"compression", "", false},
	"quota":       {"refquota", "none", true},
	"recordSize":  {"recordsize", "", true},
	"reservation": {"reservation", "none", false},
}

// settings are the properties of a volume's Tuning, as far as a dataset of that
// kind has them. A clone takes them from the plan of its own time, and Tune changes
// them in place. A quota is for the data alone, so that the snapshots we keep never
// take an application's space away.
func settings(v plans.Volume, zvol bool) map[string]string {
	m := map[string]string{}
	for field := range strings.SplitSeq(v.Tuning(), ",") {
		name, value, _ := strings.Cut(field, "=")
		if p, known := tuned[name]; known && !(zvol && p.files) {
			m[p.property] = value
		}
	}
	return m
}

// noTuning is the mark of a dataset that was given nothing: a cleared one could
// not be told from an inherited one.
const noTuning = "none"

func tuningMark(v plans.Volume) string {
	if t := v.Tuning(); t != "" {
		return t
	}
	return noTuning
}

func tuningOf(mark string) string {
	if mark == noTuning {
		return ""
	}
	return mark
}

// underWay begins the mark of a dataset whose Tuning is being changed. Names of all
// fields that may have been given follow. No Tuning of a plan is like it, so that a
// call that was cut off or refused in the middle is made again, whatever the plan
// says then.
const underWay = "~"

// fieldsOf are the fields that a mark says were given.
func fieldsOf(mark string) []string {
	var names []string
	for field := range strings.SplitSeq(strings.TrimPrefix(tuningOf(mark), underWay), ",") {
		if name, _, _ := strings.Cut(field, "="); tuned[name].property != "" {
			names = append(names, name)
		}
	}
	return names
}

// Tune implements drivers.Storage.
func (d *Driver) Tune(ctx context.Context, _ string, dataset string, v plans.Volume) error {
	const op = "tune"
	e, err := d.there(ctx, op, dataset)
	if err != nil {
		return err
	}
	if e.snapshot() {
		return conflict(op, dataset, "it is a snapshot")
	}
	mark := tuningMark(v)
	if e.local(markTuning) == mark {
		return nil
	}
	had, wanted := fieldsOf(e.local(markTuning)), fieldsOf(mark)
	both := append(slices.Clone(had), wanted...)
	slices.Sort(both)
	changing := map[string]string{markTuning: underWay + strings.Join(slices.Compact(both), ",")}
	want := settings(v, e.zvol())
	var back []string // properties the parent's value is taken for
	for _, name := range had {
		switch was := tuned[name]; {
		case slices.Contains(wanted, name) || e.zvol() && was.files:
		case was.none != "":
			want[was.property] = was.none
		default:
			back = append(back, was.property)
		}
	}
	err = d.set(ctx, dataset, changing)
	for _, property := range back {
		if err == nil {
			_, err = d.zfs(ctx, poolOf(dataset), "inherit", property, dataset)
		}
	}
	if err == nil && len(want) > 0 {
		err = d.set(ctx, dataset, want)
	}
	if err == nil {
		err = d.set(ctx, dataset, map[string]string{markTuning: mark})
	}
	return problem(op, dataset, err)
}

// set sets properties of a dataset in one command.
func (d *Driver) set(ctx context.Context, dataset string, props map[string]string) error {
	args := []string{"set"}
	for _, o := range options(props) {
		if o != "-o" {
			args = append(args, o)
		}
	}
	_, err := d.zfs(ctx, poolOf(dataset), append(args, dataset)...)
	return err
}
