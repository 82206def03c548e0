package plans

import (
	"fmt"
	"time"
)

// Zone is a time zone with its rules written out, so that what is open when can
// be worked out from a plan alone. Who reads a plan fills it in from the time
// zone database; nil is UTC.
type Zone struct {
	Name string `json:"name"`
	// Changes are in order of time. The first holds for all time before it, the
	// last for all time after it.
	Changes []ZoneChange `json:"changes"`
}

// ZoneChange is a time at which the clocks of a zone are set to another offset.
type ZoneChange struct {
	At     int64  `json:"at"`     // seconds since 1970, UTC
	Offset int    `json:"offset"` // seconds east of UTC from then on
	Abbr   string `json:"abbr,omitempty"`
}

// in returns the change in force at a time.
func (z *Zone) in(at int64) (c ZoneChange) {
	if z == nil || len(z.Changes) == 0 {
		return ZoneChange{Abbr: "UTC"}
	}
	low, high := 0, len(z.Changes)
	for high-low > 1 {
		if mid := (low + high) / 2; z.Changes[mid].At <= at {
			low = mid
		} else {
			high = mid
		}
	}
	return z.Changes[low]
}

// Clock is a time as a clock on a wall of the zone shows it.
func (z *Zone) Clock(t time.Time) time.Time {
	c := z.in(t.Unix())
	return t.In(time.FixedZone(c.Abbr, c.Offset))
}

// Text writes a time as a clock on a wall of the zone shows it.
func (z *Zone) Text(t time.Time) string {
	return z.Clock(t).Format("Mon 2006-01-02 15:04 MST")
}

// instant is the first time at which a clock on a wall of the zone shows the
// given day and minute, or a later one: in the hour that is left out in spring
// that is when it ends, of the hour that comes twice in autumn it is the first.
func (z *Zone) instant(d day, minute int) time.Time {
	wall := d.seconds() + int64(minute)*60
	if z == nil || len(z.Changes) == 0 {
		return time.Unix(wall, 0).UTC()
	}
	at := wall - int64(z.Changes[0].Offset)
	for i, c := range z.Changes {
		begin := c.At
		if i == 0 {
			begin = min(begin, at)
		}
		at = max(begin, wall-int64(c.Offset))
		if i+1 == len(z.Changes) || at < z.Changes[i+1].At {
			break
		}
	}
	return time.Unix(at, 0).UTC()
}

// day is a date: days since 1970-01-01.
type day int64

func (d day) seconds() int64 { return int64(d) * 86400 }

// weekday is the short name of the day of the week.
func (d day) weekday() string {
	return Weekdays[(int(d%7)+7+3)%7] // 1970-01-01 was a Thursday
}

func (d day) String() string { return time.Unix(d.seconds(), 0).UTC().Format(time.DateOnly) }

// dayOf is the date a clock shows.
func dayOf(clock time.Time) day {
	_, offset := clock.Zone()
	s := clock.Unix() + int64(offset)
	return day((s - ((s%86400)+86400)%86400) / 86400)
}

func parseDay(s string) (day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a date", s)
	}
	return dayOf(t), nil
}

// Weekdays are the words for days in a window, from Monday on.
var Weekdays = [7]string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
