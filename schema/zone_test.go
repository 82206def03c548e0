package schema_test

import (
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/schema"
)

// TestZones: the rules that are written out say what the database says, at
// every hour around each change and far from them.
func TestZones(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata", "UTC"} {
		z, err := schema.Zone(name)
		if err != nil {
			t.Fatal(err)
		}
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for at := time.Date(2026, 1, 1, 0, 30, 0, 0, time.UTC); at.Year() < 2055; at = at.Add(time.Hour) {
			got, want := z.Clock(at), at.In(loc)
			_, is := got.Zone()
			if _, offset := want.Zone(); is != offset {
				t.Fatalf("%s shows %s, not %s", name, got, want)
			}
		}
		if n := len(z.Changes); n > 200 {
			t.Errorf("%s has %d changes", name, n)
		}
	}
	for _, name := range []string{"", "Local", "Mars/Olympus"} {
		if _, err := schema.Zone(name); err == nil {
			t.Errorf("%q is a time zone", name)
		}
	}
}

// TestZoneReachesThePlan from the document that names it.
func TestZoneReachesThePlan(t *testing.T) {
	docs, problems := schema.Parse("p.yaml", []byte(`apiVersion: reconcile/v1
kind: Fleet
metadata: {name: f}
---
apiVersion: reconcile/v1
kind: BatchPolicy
metadata: {name: nightly}
spec:
  timeZone: Europe/Berlin
  windows: [{from: "22:00", to: "04:00"}]
`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	plan, problems := plans.Resolve(docs, plans.Options{})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	p := plan.Policies["nightly"]
	o := p.At(time.Date(2026, 7, 1, 19, 59, 0, 0, time.UTC))
	if o.Open || !o.Until.Equal(time.Date(2026, 7, 1, 20, 0, 0, 0, time.UTC)) {
		t.Errorf("in summer it opens at %s", o.Until)
	}
}
