package zfs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

const (
	oldSide = "tank/fleet/acme/acme.data.blue.a1"
	newSide = "tank/fleet/acme/acme.data.green.a2"
	taken   = newSide + "@a2.origin"
)

func fixture(t *testing.T, name string) string {
	t.Helper()
	onHost(t)
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// listing is a zfs with what was recorded: an upgrade whose clone is promoted, a
// foreign dataset below the old side, and a snapshot by another tool.
func listing(t *testing.T) []answer {
	return []answer{
		{Begins: "get -H -p -r -t filesystem,volume,snapshot ", Out: fixture(t, "datasets.txt") + snapshotLines(t)},
		{Begins: "get -H -p -r", Out: fixture(t, "datasets.txt")},
		{Begins: "list -H -p -r -t snapshot", Out: fixture(t, "snapshots.txt")},
		{Begins: "holds -H", Out: fixture(t, "holds.txt")},
	}
}

// snapshotLines are the recorded snapshots as `zfs get` has them.
func snapshotLines(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(fixture(t, "snapshots.txt")) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		for i, property := range snapshotProperties {
			source := "-"
			if strings.HasPrefix(property, "reconcile:") && f[i+1] != "-" {
				source = "inherited from elsewhere"
			}
			b.WriteString(strings.Join([]string{f[0], property, f[i+1], source}, "\t") + "\n")
		}
	}
	return b.String()
}

// looker is a driver that mounts nothing: what is recorded is mounted nowhere here.
func looker(t *testing.T, node string) *Driver {
	t.Helper()
	return must[*Driver](t)(New(Config{Roots: []string{"tank/fleet"}, Mounts: t.TempDir(), Owner: drivers.Owner{Fleet: "f", Node: node}, Look: true}))
}

func TestObserveRecorded(t *testing.T) {
	s := scripted(t, listing(t)...)
	all := must[[]observed.Dataset](t)(looker(t, "n").Observe(t.Context()))
	var begins []string
	for _, c := range s.calls() {
		begins = append(begins, strings.Fields(c)[0])
	}
	if !slices.Equal(begins, []string{"get", "list", "holds"}) {
		t.Errorf("a look ran %q, want one command of each kind", begins)
	}
	var ids []string
	byID := map[string]observed.Dataset{}
	for _, d := range all {
		ids = append(ids, d.ID)
		byID[d.ID] = d
	}
	if !slices.Equal(ids, []string{oldSide, newSide, taken}) {
		t.Fatalf("ours are %q", ids)
	}
	was, is, snap := byID[oldSide], byID[newSide], byID[taken]
	if was.Origin != taken || was.Slot != plans.Blue || was.Role != observed.Live || !slices.Equal(was.Clones, []string{oldSide + "/theirs", oldSide + "@auto"}) {
		t.Errorf("the old side is %+v", was)
	}
	if is.Origin != "" || is.Slot != plans.Green || is.Attempt != "a2" || is.Generation != "g1:a2" || is.Path != "/srv/volumes/acme.data.green.a2/data" ||
		!slices.Equal(is.Clones, []string{taken}) || is.Bytes <= 0 || is.Created.IsZero() {
		t.Errorf("what serves is %+v", is)
	}
	if is.Ready || is.Problem == nil || is.Problem.Class != observed.Environment || is.Problem.Hint == "" {
		t.Errorf("it is not mounted here, and shown as %+v, %v", is, is.Problem)
	}
	if snap.Role != observed.Origin || snap.Origin != newSide || snap.Slot != plans.Blue || snap.Generation != "g1:a1" || !snap.Ready ||
		!slices.Equal(snap.Clones, []string{oldSide}) || !slices.Equal(snap.Holds, []string{"reconcile:way-back"}) {
		t.Errorf("the snapshot is %+v", snap)
	}
	if all := must[[]observed.Dataset](t)(looker(t, "another").Observe(t.Context())); len(all) != 0 {
		t.Errorf("another node sees %+v as its own", all)
	}
}

// A look at one tenant costs what that tenant has.
func TestObserveTenant(t *testing.T) {
	s := scripted(t, listing(t)...)
	d := looker(t, "n")
	for n, want := range []string{"tank/fleet", "tank/fleet/acme", "tank/fleet/acme"} {
		seen := must[[]observed.Dataset](t)(d.Observe(t.Context(), "acme"))
		if len(seen) != 3 {
			t.Fatalf("look %d sees %+v", n, seen)
		}
		for _, c := range s.calls() {
			if !strings.HasPrefix(c, "holds") && !strings.HasSuffix(c, " "+want) {
				t.Errorf("look %d ran %q, want below %s", n, c, want)
			}
			if n > 0 && strings.HasPrefix(c, "list") {
				t.Errorf("look %d ran %q, want one command for datasets and snapshots", n, c)
			}
		}
	}
	if seen := must[[]observed.Dataset](t)(d.Observe(t.Context(), "nobody")); len(seen) != 0 || len(s.calls()) != 0 {
		t.Errorf("a tenant without data: %+v", seen)
	}
	// What is gone from its place is looked for everywhere.
	s.say(answer{Begins: "get -H -p -r -t filesystem,volume", Err: "cannot open 'tank/fleet/acme': dataset does not exist"})
	_, err := d.Observe(t.Context(), "acme")
	class(t, err, observed.Environment, "zpool import")
	if calls := s.calls(); len(calls) != 2 || !strings.HasSuffix(calls[1], " tank/fleet") {
		t.Errorf("ran %q", calls)
	}
}

// one is the recorded listing of one dataset.
func one(t *testing.T, name string) answer {
	var b strings.Builder
	for line := range strings.Lines(fixture(t, "datasets.txt")) {
		if strings.HasPrefix(line, name+"\t") {
			b.WriteString(line)
		}
	}
	if b.Len() == 0 {
		t.Fatalf("nothing is recorded of %s", name)
	}
	return answer{Begins: "get -H -p -o", Out: b.String()}
}

// snapshotOne is a snapshot as a look at it alone shows it.
func snapshotOne(role, clones, refs string) answer {
	var b strings.Builder
	for _, p := range [][3]string{
		{"type", "snapshot", "-"}, {"creation", "1795322619", "-"}, {"userrefs", refs, "-"}, {"clones", clones, "-"},
		{markFleet, "f", "inherited from x"}, {markNode, "n", "inherited from x"}, {markRole, role, "local"},
	} {
		b.WriteString(strings.Join([]string{taken, p[0], p[1], p[2]}, "\t") + "\n")
	}
	return answer{Begins: "get -H -p -o", Out: b.String()}
}

// Nothing is destroyed that anything hangs on, is not ours, or cannot be seen;
// and never more than the one dataset is asked for.
func TestDestroyOnly(t *testing.T) {
	gone := answer{Begins: "get -H -p -o", Err: "cannot open 'x': dataset does not exist"}
	destroy := answer{Begins: "destroy"}
	for name, c := range map[string]struct {
		id     string
		says   []answer
		class  observed.Class // "": no problem
		hint   string
		wanted []string // destroys
	}{
		"with snapshots":   {newSide, append(listing(t), one(t, newSide), destroy), observed.Refused, taken, nil},
		"with children":    {oldSide, append(listing(t), one(t, oldSide), destroy), observed.Refused, oldSide + "/theirs", nil},
		"foreign":          {oldSide + "/theirs", append(listing(t), one(t, oldSide+"/theirs"), destroy), observed.Refused, "not ours", nil},
		"a parent":         {"tank/fleet/acme", append(listing(t), one(t, "tank/fleet/acme"), destroy), observed.Refused, "not ours", nil},
		"outside":          {"tank/other", []answer{destroy}, observed.Refused, "roots", nil},
		"absent":           {newSide, []answer{gone, {Begins: "list -H -o name tank/fleet"}, destroy}, "", "", nil},
		"pool gone":        {newSide, []answer{gone, {Begins: "list -H -o name tank/fleet", Err: "cannot open 'tank/fleet': dataset does not exist"}, destroy}, observed.Environment, "zpool import", nil},
		"origin":           {taken, []answer{snapshotOne("origin", oldSide, "0"), destroy}, observed.Refused, oldSide, nil},
		"held":             {taken, []answer{snapshotOne("origin", "", "1"), {Begins: "holds", Out: taken + "\tbackup\tnow\n"}, destroy}, observed.Refused, "backup", nil},
		"another's":        {taken, []answer{snapshotOne("live", "", "0"), destroy}, observed.Refused, "somebody else", nil},
		"snapshot":         {taken, []answer{snapshotOne("origin", "", "0"), destroy}, "", "", []string{"destroy " + taken}},
		"refused by zfs":   {taken, []answer{snapshotOne("origin", "", "0"), {Begins: "destroy", Err: recorded(t)["clones"]}}, observed.Refused, "promote", []string{"destroy " + taken}},
		"gone meanwhile":   {taken, []answer{snapshotOne("origin", "", "0"), {Begins: "destroy", Err: recorded(t)["absentSnapshot"]}}, "", "", []string{"destroy " + taken}},
		"an option for id": {"-r", []answer{destroy}, observed.Refused, "roots", nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := scripted(t, c.says...)
			err := looker(t, "n").Destroy(t.Context(), "1", c.id)
			if c.class != "" {
				class(t, err, c.class, c.hint)
			} else if err != nil {
				t.Error(err)
			}
			var destroys []string
			for _, call := range s.calls() {
				if strings.HasPrefix(call, "destroy") {
					destroys = append(destroys, call)
				}
			}
			if !slices.Equal(destroys, c.wanted) {
				t.Errorf("ran %q, want %q", destroys, c.wanted)
			}
		})
	}
}

// What is no listing is an error, and never an empty one.
func TestObserveGarbage(t *testing.T) {
	for name, answers := range map[string][]answer{
		"get":  {{Begins: "get", Out: "tank/fleet\ttype\n"}},
		"list": {{Begins: "get"}, {Begins: "list", Out: "tank/fleet@a\n"}},
	} {
		scripted(t, answers...)
		if all, err := looker(t, "n").Observe(t.Context()); err == nil {
			t.Errorf("%s: a cut line is taken for %+v", name, all)
		}
	}
}

func TestCheckVolume(t *testing.T) {
	there := answer{Begins: "get", Out: "tank/fleet\ttype\tfilesystem\t-\ntank/fleet\tkeystatus\t-\t-\n", Err: "cannot open 'tank/fleet/acme': dataset does not exist"}
	root := answer{Begins: "list -H -o name tank/fleet"}
	for name, c := range map[string]struct {
		v     plans.Volume
		says  []answer
		class observed.Class // "": no problem
		hint  string
	}{
		"fits":        {volume("tank/fleet/acme"), []answer{there, root}, "", ""},
		"no source":   {volume(""), []answer{there, root}, "", ""},
		"outside":     {volume("tank/other"), nil, observed.Refused, "drivers.zfs.roots"},
		"record size": {plans.Volume{RecordSize: "3K"}, nil, observed.Refused, "16K"},
		"locked": {volume("tank/fleet/acme"), []answer{
			{Begins: "get", Out: "tank/fleet\tkeystatus\tunavailable\t-\n", Err: there.Err}, root}, observed.Environment, "load-key"},
		"pool gone": {volume("tank/fleet/acme"), []answer{
			{Begins: "get", Err: there.Err}, {Begins: "list", Err: "cannot open 'tank/fleet': dataset does not exist"}}, observed.Environment, "zpool import tank"},
		"no module": {volume("tank/fleet/acme"), []answer{{Begins: "get", Err: "The ZFS modules are not loaded."}}, observed.Environment, "modprobe zfs"},
	} {
		scripted(t, c.says...)
		err := looker(t, "n").CheckVolume(t.Context(), c.v)
		if c.class == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		} else if c.class != "" {
			class(t, err, c.class, c.hint)
		}
	}
}

// A promotion is a look at the clone and at what it hangs on, and the act.
func TestPromoteCalls(t *testing.T) {
	both := answer{Begins: "get -H -p -o", Out: one(t, oldSide).Out + one(t, newSide).Out}
	s := scripted(t, append(listing(t), both, answer{Begins: "promote"})...)
	d := looker(t, "n")
	for n, want := range [][]string{{"get", "get", "promote"}, {"get", "promote"}} {
		s.calls()
		if err := d.Promote(t.Context(), "1", oldSide); err != nil {
			t.Fatal(err)
		}
		var ran []string
		for _, c := range s.calls() {
			ran = append(ran, strings.Fields(c)[0])
		}
		if !slices.Equal(ran, want) {
			t.Errorf("promotion %d ran %q, want %q", n, ran, want)
		}
		// Once it was seen, what it hangs on is known beforehand.
		must[[]observed.Dataset](t)(d.Observe(t.Context()))
	}
}
