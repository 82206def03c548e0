package zfs

import (
	"errors"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// recorded is what a real zfs says, by what it shows.
func recorded(t *testing.T) map[string]string {
	t.Helper()
	onHost(t)
	a, err := txtar.ParseFile("testdata/refusals.txtar")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, f := range a.Files {
		said[f.Name] = strings.TrimSpace(string(f.Data))
	}
	return said
}

func TestClasses(t *testing.T) {
	said := recorded(t)
	for name, want := range map[string]struct {
		class observed.Class
		hint  string
	}{
		"exists": {observed.Conflict, ""}, "absent": {observed.Conflict, ""},
		"clones": {observed.Refused, "promote"}, "children": {observed.Refused, "below"},
		"held": {observed.Refused, "zfs holds"}, "busy": {observed.Refused, "fuser"},
		"noPoolCreate": {observed.Environment, "zpool import"}, "otherPool": {observed.Refused, "pool"},
		"space": {observed.Environment, "free space"}, "volumeSpace": {observed.Environment, "free space"},
		"parentQuota": {observed.Environment, "free space"}, "smallQuota": {observed.Refused, "quota"},
		"sameName": {observed.Refused, "same name"},
		"key":      {observed.Environment, "load-key"}, "keyClone": {observed.Environment, "load-key"}, "keyMount": {observed.Environment, "load-key"},
		"recordSize": {observed.Refused, "recordSize"}, "compression": {observed.Refused, "zfsprops"}, "blockSize": {observed.Refused, "recordSize"},
		"longName": {observed.Refused, "shorter"}, "readOnly": {observed.Environment, "read-only"},
		"asNobody": {observed.Refused, "zfs allow"}, "asNobodyMount": {observed.Refused, "root"},
		"asNobodyCreate": {observed.Refused, "root"}, "asNobodyClone": {observed.Refused, "root"}, "asNobodyDestroy": {observed.Refused, "zfs allow"},
	} {
		text, ok := said[name]
		if !ok {
			t.Errorf("nothing is recorded of %s", name)
			continue
		}
		err := problem("act", "tank/a", refusal{text: text})
		if got := observed.ClassOf(err); got != want.class {
			t.Errorf("%s: %q is %s, want %s", name, text, got, want.class)
		}
		var p *observed.Problem
		if errors.As(err, &p); !strings.Contains(p.Hint, want.hint) {
			t.Errorf("%s: %q has the hint %q, which does not say %q", name, text, p.Hint, want.hint)
		}
		if want.class != observed.Conflict && p.Hint == "" {
			t.Errorf("%s: a person is not told what to do about %q", name, text)
		}
	}
	// A pool that is not there looks like a dataset that is not: only a look at
	// the root tells them apart.
	for _, name := range []string{"noPool", "exported"} {
		class(t, problem("observe", "", rootless("tank/fleet", refusal{text: said[name]})), observed.Environment, "zpool import tank")
	}
	// What the driver itself reads in the answers.
	for name, text := range map[string]string{
		"heldTwice": "tag already exists", "notHeld": "no such tag", "absentSnapshot": "could not find any snapshots", "mounted": "already mounted",
		"absentLook": "does not exist", "absentParent": "parent does not exist", "asNobodyCreate": "successfully created", "asNobodyClone": "successfully created",
	} {
		if !says(refusal{text: said[name]}, text) {
			t.Errorf("%s: %q does not say %q", name, said[name], text)
		}
	}
}
