// Package dir keeps volumes as plain directories: the storage a host has when
// it has no ZFS. A snapshot and a clone are copies, by reflink where the
// filesystem can (btrfs, xfs) and byte by byte where it cannot. A copy is not
// atomic against a running writer, so Traits say that it is not point-in-time.
//
// Every dataset has a mark, a small file under ROOT/.reconcile, written and
// synced before the data exist and again when they are whole. Ownership, role
// and completeness are read from marks and never from names.
package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Config of a Driver.
type Config struct {
	// Root is the folder all volumes live in. A plan's source is a path below it.
	Root  string
	Owner drivers.Owner
	Now   func() time.Time // for the creation time shown to people; nil is time.Now
}

// Driver implements drivers.Storage on directories.
type Driver struct {
	cfg Config
	// reflink says whether copies share blocks here. It is tried when somebody
	// asks, for trying writes.
	reflink func() bool

	mu sync.Mutex // one change of marks at a time; copies run outside it by dataset
}

// New makes the root if needed and finds out whether it can share blocks
// between files.
func New(cfg Config) (*Driver, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	root, err := filepath.Abs(cfg.Root)
	if err != nil {
		return nil, observed.Wrap("open storage", cfg.Root, observed.Refused, err, "")
	}
	cfg.Root = root
	if err := os.MkdirAll(filepath.Join(root, markDir), 0o711); err != nil {
		return nil, observed.Wrap("open storage", root, observed.Refused, err, "set drivers.dir.root to a folder this user may write")
	}
	return &Driver{cfg: cfg, reflink: sync.OnceValue(func() bool { return canReflink(filepath.Join(root, markDir)) })}, nil
}

// Traits implements drivers.Storage.
func (d *Driver) Traits() drivers.StorageTraits {
	return drivers.StorageTraits{Name: "dir", CheapClone: d.reflink(), AtMost: true}
}

// Observe implements drivers.Storage.
func (d *Driver) Observe(_ context.Context, tenants ...string) ([]observed.Dataset, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	marks, err := d.marks()
	if err != nil {
		return nil, observed.Wrap("observe", d.cfg.Root, observed.Environment, err, "check the filesystem that holds "+d.cfg.Root)
	}
	clones := map[string][]string{}
	for _, m := range marks {
		if m.hangs() {
			clones[m.Origin] = append(clones[m.Origin], m.ID)
		}
	}
	var out []observed.Dataset
	for _, m := range marks {
		if len(tenants) > 0 && !slices.Contains(tenants, m.Tenant) {
			continue
		}
		o := m.observed()
		o.Clones = clones[m.ID]
		if m.Ready && !m.Doomed {
			if _, err := os.Lstat(m.Path); errors.Is(err, fs.ErrNotExist) {
				continue // the mark is all that is left: the data are missing, and that is what we say
			}
		}
		out = append(out, o)
	}
	return out, nil
}

// Create implements drivers.Storage.
func (d *Driver) Create(_ context.Context, _ string, want drivers.VolumeOrder) (observed.Dataset, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	marks, err := d.marks()
	if err != nil {
		return observed.Dataset{}, d.problem("create", want.Name, err)
	}
	for _, m := range marks {
		same := m.Tenant == want.Tenant && m.Volume == want.Name && m.Slot == want.Slot && m.Role == want.Role && !m.Doomed
		if same && m.there() && (want.Volume.OnUpgrade != plans.Fresh || m.Attempt == want.Attempt) {
			return m.observed(), nil
		}
	}
	if m, gone := washedAway(marks, want); gone {
		return d.refill(m, want)
	}
	m, err := d.mark(want, "")
	if err != nil {
		return observed.Dataset{}, err
	}
	if want.Volume.Import {
		return d.adopt(m, want)
	}
	if err := d.begin(m); err != nil {
		return observed.Dataset{}, err
	}
	return d.empty(m, want.Volume)
}

// empty makes the folder of the data, with nothing in it.
func (d *Driver) empty(m mark, v plans.Volume) (observed.Dataset, error) {
	if err := os.MkdirAll(m.Path, 0o755); err != nil {
		return observed.Dataset{}, d.problem("create", m.ID, err)
	}
	if err := own(m.Path, v); err != nil {
		return observed.Dataset{}, d.problem("create", m.ID, err)
	}
	return d.finish(m)
}

// adopt takes over an existing directory, as `import: true` asks.
func (d *Driver) adopt(m mark, want drivers.VolumeOrder) (observed.Dataset, error) {
	const op = "import"
	if want.Volume.Source == "" {
		return observed.Dataset{}, observed.Wrap(op, m.ID, observed.Refused, errors.New("no source names what to take over"), "add `source`, a folder below "+d.cfg.Root)
	}
	path, err := d.below(want.Volume.Source)
	if err != nil {
		return observed.Dataset{}, err
	}
	if st, err := os.Stat(path); err != nil || !st.IsDir() {
		return observed.Dataset{}, observed.Wrap(op, path, observed.Refused, errors.New("there is no such directory to take over"), "create it, or remove `import: true` to start with an empty volume")
	}
	// From now on its place is where the data are, wherever a link leads later.
	if path, err = resolved(path); err != nil {
		return observed.Dataset{}, d.problem(op, path, err)
	}
	if err := d.alone(op, m.ID, path); err != nil {
		return observed.Dataset{}, err
	}
	if old, err := d.read(m.ID); err == nil {
		return observed.Dataset{}, observed.Wrap(op, path, observed.Refused, fmt.Errorf("there was a volume of this name, and what is left of it is %s", old.Role),
			"`reconcile data "+m.Tenant+"` shows it; it goes when its retention is over")
	}
	m.Path, m.Dir = path, ""
	return d.finish(m)
}

// Snapshot implements drivers.Storage: a copy that nobody mounts.
func (d *Driver) Snapshot(ctx context.Context, _ string, attempt string, datasets []string, progress func(drivers.Progress)) ([]observed.Dataset, error) {
	var lives []mark
	var wants []drivers.VolumeOrder
	for _, id := range datasets {
		live, err := d.find(id)
		if err != nil {
			return nil, err
		}
		lives = append(lives, live)
		wants = append(wants, drivers.VolumeOrder{Tenant: live.Tenant, Name: live.Volume, Slot: live.Slot, Attempt: attempt, Generation: live.Generation, Role: observed.Origin,
			Volume: plans.Volume{Source: live.Source, Import: live.Dir == "", Copy: plans.Copy{Parallel: live.Parallel}}})
	}
	if err := d.oneAct(lives, wants); err != nil {
		return nil, err
	}
	var out []observed.Dataset
	for i, want := range wants {
		snap, err := d.copyOf(ctx, lives[i], want, progress)
		if err != nil {
			return nil, err
		}
		out = append(out, snap)
	}
	return out, nil
}

// oneAct has the snapshots of a call that was cut off taken anew, all of them: those
// that are whole may be older than what was written since, and the others are not.
// What a clone or a hold needs stays as it is.
func (d *Driver) oneAct(lives []mark, wants []drivers.VolumeOrder) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	marks, err := d.marks()
	if err != nil {
		return d.problem("snapshot", d.cfg.Root, err)
	}
	var whole []mark
	for i, want := range wants {
		m, err := d.mark(want, lives[i].ID)
		if err != nil {
			return err
		}
		if old, err := d.living(m.ID); err == nil && old.there() && old.Origin == m.Origin {
			whole = append(whole, old)
		}
	}
	if len(whole) == len(wants) {
		return nil
	}
	for _, m := range whole {
		needed := func(c mark) bool { return c.Origin == m.ID && c.hangs() }
		if len(m.Holds) > 0 || slices.ContainsFunc(marks, needed) {
			continue
		}
		m.Ready = false
		if err := d.write(m); err != nil {
			return d.problem("snapshot", m.ID, err)
		}
	}
	return nil
}

// Clone implements drivers.Storage.
func (d *Driver) Clone(ctx context.Context, _ string, snapshot string, want drivers.VolumeOrder, progress func(drivers.Progress)) (observed.Dataset, error) {
	from, err := d.find(snapshot)
	if err != nil {
		return observed.Dataset{}, err
	}
	return d.copyOf(ctx, from, want, progress)
}

// copyOf makes the dataset want as a whole copy of from, or finds it made.
func (d *Driver) copyOf(ctx context.Context, from mark, want drivers.VolumeOrder, progress func(drivers.Progress)) (observed.Dataset, error) {
	// Gone may be a disk that is not mounted: nothing of the new version is to blame.
	if err := from.usable("copy", observed.Environment); err != nil {
		return observed.Dataset{}, err
	}
	d.mu.Lock()
	m, err := d.mark(want, from.ID)
	if err != nil {
		d.mu.Unlock()
		return observed.Dataset{}, err
	}
	if old, err := d.read(m.ID); err == nil && old.there() && !old.Doomed {
		d.mu.Unlock()
		if old.Origin != from.ID {
			return observed.Dataset{}, observed.Wrap("copy", m.ID, observed.Conflict, fmt.Errorf("it was made from %s, not from %s", old.Origin, from.ID), "")
		}
		return old.observed(), nil
	}
	err = d.begin(m)
	d.mu.Unlock()
	if err != nil {
		return observed.Dataset{}, err
	}
	temp := m.Path + ".new"
	err = copyTree(ctx, from.Path, temp, copyOptions{reflink: d.reflink(), parallel: m.Parallel, progress: progress, what: m.Tenant + "/" + m.Volume})
	if err == nil {
		err = syncfs(temp)
	}
	if err != nil {
		if full(err) {
			// What serves needs the room, and needs it now. The error that counts
			// is the first.
			_ = os.RemoveAll(temp)
		}
		return observed.Dataset{}, d.problem("copy", m.ID, err)
	}
	if err := os.Rename(temp, m.Path); err != nil {
		return observed.Dataset{}, d.problem("copy", m.ID, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.finish(m)
}

// SetRole implements drivers.Storage.
func (d *Driver) SetRole(_ context.Context, _ string, dataset string, role observed.Role, slot plans.Slot) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, err := d.living(dataset)
	if err != nil {
		return absent("set role", dataset, err)
	}
	if m.Role == role && m.Slot == slot {
		return nil
	}
	m.Role, m.Slot = role, slot
	return d.problem("set role", dataset, d.write(m))
}

// Promote implements drivers.Storage. A copy needs nothing of its origin; the
// mark is what changes, so that the origin may be removed.
func (d *Driver) Promote(_ context.Context, _ string, dataset string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, err := d.living(dataset)
	if err != nil {
		return absent("promote", dataset, err)
	}
	if m.Promoted || m.Origin == "" {
		return nil
	}
	if err := d.inherit(m); err != nil {
		return d.problem("promote", dataset, err)
	}
	m.Promoted = true
	return d.problem("promote", dataset, d.write(m))
}

// inherit gives to a dataset the snapshot it came from and those before it, so
// that what they were taken of can go. The one it came from is last, by which an
// interrupted call finds the others again.
func (d *Driver) inherit(to mark) error {
	from, err := d.living(to.Origin)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	all, err := d.marks()
	if err != nil {
		return err
	}
	for _, m := range all {
		if m.ID == from.ID || m.Role != observed.Origin || m.Origin != from.Origin || m.Created.After(from.Created) {
			continue
		}
		m.Origin = to.ID
		if err := d.write(m); err != nil {
			return err
		}
	}
	from.Origin = to.ID
	return d.write(from)
}

// Destroy implements drivers.Storage.
func (d *Driver) Destroy(_ context.Context, _ string, dataset string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, err := d.read(dataset)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return d.problem("destroy", dataset, err)
	}
	if !m.Doomed {
		marks, err := d.marks()
		if err != nil {
			return d.problem("destroy", dataset, err)
		}
		for _, c := range marks {
			if c.Origin == m.ID && c.hangs() {
				return observed.Wrap("destroy", dataset, observed.Refused, fmt.Errorf("%s was cloned from it and is not promoted", c.ID), "")
			}
		}
		if len(m.Holds) > 0 {
			return observed.Wrap("destroy", dataset, observed.Refused, fmt.Errorf("it is held by %s", strings.Join(m.Holds, ", ")), "release it first")
		}
		if who, err := users(m.Path); err != nil {
			return d.problem("destroy", dataset, err)
		} else if who != "" {
			return observed.Wrap("destroy", dataset, observed.Refused, fmt.Errorf("it is mounted by %s", who), "stop what uses it")
		}
		if err := d.bare("destroy", m); err != nil {
			return err
		}
		if err := d.alone("destroy", m.ID, m.place()); err != nil {
			return err
		}
		// From here on there is no way back. Cut off, it is shown as doomed, and the
		// next call ends it.
		m.Doomed = true
		if err := d.write(m); err != nil {
			return d.problem("destroy", dataset, err)
		}
	}
	// What was taken over is let go: it was there before us, and stays.
	if m.Dir == "" {
		return d.problem("let go", dataset, d.erase(m))
	}
	if err := d.clear("destroy", m); err != nil {
		return err
	}
	return d.problem("destroy", dataset, d.erase(m))
}

// Written implements drivers.Storage.
func (d *Driver) Written(ctx context.Context, dataset, snapshot string) (int64, error) {
	const op = "measure"
	m, err := d.find(dataset)
	if err == nil {
		err = m.usable(op, observed.Conflict)
	}
	if err != nil {
		return 0, err
	}
	since := ""
	if snapshot != "" {
		from, err := d.find(snapshot)
		if err == nil {
			err = from.usable(op, observed.Conflict)
		}
		if err != nil {
			return 0, err
		}
		since = from.Path
	}
	bytes, err := written(ctx, m.Path, since)
	return bytes, d.problem(op, dataset, err)
}

// below turns a plan's source into a path that cannot leave the root.
func (d *Driver) below(source string) (string, error) {
	rel := strings.TrimPrefix(source, d.cfg.Root+string(filepath.Separator))
	if rel == "" || rel == d.cfg.Root {
		return d.cfg.Root, nil
	}
	if !filepath.IsLocal(rel) || strings.HasPrefix(rel, markDir) {
		return "", observed.Wrap("open volume", source, observed.Refused, fmt.Errorf("it is not below %s", d.cfg.Root), "give a source relative to this host's drivers.dir.root")
	}
	return filepath.Join(d.cfg.Root, rel), nil
}

// begin writes the mark of a dataset that is about to be made, and clears away
// what an interrupted attempt left under its name.
func (d *Driver) begin(m mark) error {
	old, err := d.read(m.ID)
	switch {
	case err == nil:
		err = d.bare("create", old)
	case errors.Is(err, fs.ErrNotExist):
		if _, err = os.Lstat(m.Dir); err == nil {
			return observed.Wrap("create", m.Dir, observed.Refused, errors.New("there are data in the way that are not ours"), "move them away, or take them over with `import: true`")
		}
		err = nil
	default:
		err = d.problem("create", m.ID, err)
	}
	if err != nil {
		return err
	}
	if err := d.alone("create", m.ID, m.Dir); err != nil {
		return err
	}
	if m.Mount, err = d.mountNear(m.Dir); err != nil {
		return d.problem("find filesystem", m.ID, err)
	}
	if err := d.write(m); err != nil {
		return d.problem("create", m.ID, err)
	}
	if err := d.clear("create", m); err != nil {
		return err
	}
	// 0711: an instance run as another user must reach its volume below.
	return d.problem("create", m.ID, os.MkdirAll(m.Dir, 0o711))
}

// finish makes the data's names durable and says in the mark that they are whole.
func (d *Driver) finish(m mark) (observed.Dataset, error) {
	for _, path := range []string{m.Path, filepath.Dir(m.Path)} {
		if err := syncDir(path); err != nil {
			return observed.Dataset{}, d.problem("sync", m.ID, err)
		}
	}
	at, err := mountOf(m.Path)
	if err != nil {
		return observed.Dataset{}, d.problem("find filesystem", m.ID, err)
	}
	m.Ready, m.Created, m.Mount = true, d.cfg.Now().UTC(), at.point
	if err := d.write(m); err != nil {
		return observed.Dataset{}, d.problem("create", m.ID, err)
	}
	return m.observed(), nil
}

func (d *Driver) find(id string) (mark, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, err := d.living(id)
	if err != nil {
		return mark{}, absent("find", id, err)
	}
	return m, nil
}

func absent(op, id string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("there is no such dataset of ours")
	}
	return observed.Wrap(op, id, observed.Conflict, err, "")
}

// problem classes what the filesystem says. A nil err is a nil error.
func (d *Driver) problem(op, ref string, err error) error {
	switch {
	case err == nil:
		return nil
	case full(err):
		p := observed.Wrap(op, ref, observed.Environment, err, "free space below "+d.cfg.Root+", then it goes on by itself")
		p.Full = true
		return p
	case errors.Is(err, unix.ENOTDIR):
		return observed.Wrap(op, ref, observed.Refused, err, "something that is no folder is in its place: move it away, or give another source")
	case errors.Is(err, fs.ErrPermission):
		return observed.Wrap(op, ref, observed.Refused, err, "check owner and mode below "+d.cfg.Root)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return observed.Wrap(op, ref, observed.Transient, err, "")
	}
	return observed.Wrap(op, ref, observed.Transient, err, "check the filesystem that holds "+d.cfg.Root)
}

// own gives a new volume's root the owner and mode the plan asks for.
func own(path string, v plans.Volume) error {
	mode := fs.FileMode(0o755)
	if v.Mode != "" {
		n, err := strconv.ParseUint(v.Mode, 8, 12)
		if err != nil {
			return fmt.Errorf("mode %q: %w", v.Mode, err)
		}
		mode = fs.FileMode(n & 0o777)
		for bit, m := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
			if n&bit != 0 {
				mode |= m
			}
		}
	}
	if v.Owner != "" {
		u, g, _ := strings.Cut(v.Owner, ":")
		uid, err := strconv.Atoi(u)
		if err != nil {
			return fmt.Errorf("owner %q: %w", v.Owner, err)
		}
		gid := uid
		if g != "" {
			if gid, err = strconv.Atoi(g); err != nil {
				return fmt.Errorf("owner %q: %w", v.Owner, err)
			}
		}
		if err := os.Chown(path, uid, gid); err != nil {
			return err
		}
	}
	return os.Chmod(path, mode)
}
