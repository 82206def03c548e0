package zfs

import (
	"context"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
)

// tuned are the properties of the fields of a Tuning, and the value that takes
// each back; "" is what the parent has.
var tuned = map[string]struct{ property, none string }{
	"compression": {"compression", ""},
	"quota":       {"refquota", "none"},
	"recordSize":  {"recordsize", ""},
	"reservation": {"reservation", "none"},
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

// Tune implements drivers.Storage. The mark is set when all the rest is, so that
// a call that was cut off or refused is made again whole.
func (d *Driver) Tune(ctx context.Context, _ string, dataset string, v plans.Volume) error {
	const op = "tune"
	e, err := d.there(ctx, op, dataset)
	if err != nil {
		return err
	}
	if e.snapshot() {
		return conflict(op, dataset, "it is a snapshot")
	}
	if e.local(markTuning) == tuningMark(v) {
		return nil
	}
	want := settings(v, e.zvol())
	for field := range strings.SplitSeq(tuningOf(e.local(markTuning)), ",") {
		name, _, _ := strings.Cut(field, "=")
		was, known := tuned[name]
		if _, stays := want[was.property]; !known || stays {
			continue
		}
		if was.none != "" {
			want[was.property] = was.none
		} else if _, err := d.zfs(ctx, poolOf(dataset), "inherit", was.property, dataset); err != nil {
			return problem(op, dataset, err)
		}
	}
	for _, props := range []map[string]string{want, {markTuning: tuningMark(v)}} {
		if len(props) == 0 {
			continue
		}
		if err := d.set(ctx, dataset, props); err != nil {
			return problem(op, dataset, err)
		}
	}
	return nil
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
