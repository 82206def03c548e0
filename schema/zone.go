package schema

import (
	"fmt"
	"sync"
	"time"
	_ "time/tzdata" // a host without a time zone database reads the same plans

	"github.com/gitops-fleet/reconcile/plans"
)

// The years whose rules are written out. Later ones follow the last.
var (
	zonesFrom = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	zonesTo   = time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC)
)

// zones are those read already, by name.
var zones sync.Map // of plans.Zone

// Zone returns a time zone with its rules written out, by its name in the time
// zone database: Europe/Berlin.
func Zone(name string) (plans.Zone, error) {
	if z, ok := zones.Load(name); ok {
		return z.(plans.Zone), nil
	}
	if name == "" || name == "Local" {
		return plans.Zone{}, fmt.Errorf("read time zone: %q means another one on each host", name)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return plans.Zone{}, fmt.Errorf("read time zone: %w", err)
	}
	z := plans.Zone{Name: name}
	for t := zonesFrom.In(loc); t.Before(zonesTo); {
		abbr, offset := t.Zone()
		if n := len(z.Changes); n == 0 || z.Changes[n-1].Offset != offset || z.Changes[n-1].Abbr != abbr {
			z.Changes = append(z.Changes, plans.ZoneChange{At: t.Unix(), Offset: offset, Abbr: abbr})
		}
		_, end := t.ZoneBounds()
		switch {
		case end.IsZero():
			t = zonesTo
		case end.After(t):
			t = end
		default:
			// The last day of a leap year is said to end before it began.
			t = t.Add(24 * time.Hour)
		}
	}
	zones.Store(name, z)
	return z, nil
}

// isZone says that a value names a time zone.
func isZone(v any) bool {
	name, ok := v.(string)
	if !ok {
		return true
	}
	_, err := Zone(name)
	return err == nil
}

// zonesOf are the time zones a document names.
func zonesOf(d *plans.Document) map[string]plans.Zone {
	name, ok := d.Spec["timeZone"].(string)
	if d.Kind != plans.KindBatchPolicy || !ok {
		return nil
	}
	z, err := Zone(name)
	if err != nil {
		return nil // the schema has refused it
	}
	return map[string]plans.Zone{name: z}
}
