package zfs

import (
	"context"
	"strings"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Snapshot implements drivers.Storage: one command takes all snapshots in one
// transaction of the pool, and marks them in the same act.
func (d *Driver) Snapshot(ctx context.Context, _ string, attempt string, datasets []string, _ func(drivers.Progress)) ([]observed.Dataset, error) {
	const op = "snapshot"
	ref := strings.Join(datasets, ", ")
	if len(datasets) == 0 {
		return nil, nil
	}
	var names []string
	for _, id := range datasets {
		if badName(id) != "" || d.root(id) == "" {
			return nil, conflict(op, id, "there is no such dataset of ours")
		}
		if poolOf(id) != poolOf(datasets[0]) {
			return nil, refused(op, ref, "they are in different pools, so that no snapshot is of one moment", "keep the volumes of one tenant in one pool")
		}
		names = append(names, id+"@"+snapName(attempt))
	}
	found, err := d.look(ctx, append(names, datasets...)...)
	if err != nil {
		return nil, problem(op, ref, err)
	}
	taken := 0
	for i, id := range datasets {
		if !d.ours(found[id]) {
			return nil, conflict(op, id, "there is no such dataset of ours")
		}
		switch e := found[names[i]]; {
		case e == nil:
		case !d.oursSnapshot(e):
			return nil, foreign(op, names[i])
		default:
			taken++
		}
	}
	switch taken {
	case 0:
		for _, id := range datasets {
			if err := d.flushed(ctx, found[id]); err != nil {
				return nil, problem(op, id, err)
			}
		}
		if err := d.take(ctx, attempt, names, datasets, found); err != nil {
			return nil, problem(op, ref, err)
		}
	case len(datasets):
	default:
		return nil, refused(op, ref, "of this attempt only some snapshots are there, so that they would not be of one moment",
			"start the change again; what is left of this one is removed by its retention")
	}
	var out []observed.Dataset
	for i, id := range datasets {
		o := found[id].dataset()
		o.ID, o.Role, o.Attempt, o.Origin, o.Ready, o.Written = names[i], observed.Origin, attempt, id, true, -1
		o.Created = d.cfg.Now().UTC()
		if e := found[names[i]]; e != nil {
			o.Created, o.Bytes = e.created(), e.number("used")
		}
		out = append(out, o)
	}
	return out, nil
}

// take takes the snapshots. Fleet, node, tenant and volume are inherited from the
// dataset, also after a promotion gave the snapshot to a clone of it; what is the
// snapshot's own is set on it.
func (d *Driver) take(ctx context.Context, attempt string, names, datasets []string, found map[string]*entry) error {
	marks := map[string]string{markRole: string(observed.Origin), markAttempt: attempt}
	if attempt == "" {
		delete(marks, markAttempt)
	}
	// One command gives all snapshots the same properties. Where slots or
	// generations differ they are set afterwards; until then what is inherited
	// says the same.
	slot, generation := found[datasets[0]].local(markSlot), found[datasets[0]].local(markGeneration)
	same := true
	for _, id := range datasets {
		same = same && found[id].local(markSlot) == slot && found[id].local(markGeneration) == generation
	}
	if same {
		marks[markSlot] = slot
		if generation != "" {
			marks[markGeneration] = generation
		}
	}
	args := append([]string{"snapshot"}, options(marks)...)
	if _, err := d.zfs(ctx, poolOf(names[0]), append(args, names...)...); err != nil || same {
		return err
	}
	for i, id := range datasets {
		args := []string{"set", markSlot + "=" + found[id].local(markSlot)}
		if g := found[id].local(markGeneration); g != "" {
			args = append(args, markGeneration+"="+g)
		}
		if _, err := d.zfs(ctx, poolOf(id), append(args, names[i])...); err != nil {
			return err
		}
	}
	return nil
}
