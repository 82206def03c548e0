package plans_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
)

// berlin has the rules of Europe/Berlin for 2026 and 2027, by hand: summer time
// from the last Sunday of March to the last of October, at 01:00 UTC.
var berlin = &plans.Zone{Name: "Europe/Berlin", Changes: []plans.ZoneChange{
	{At: utc("2025-10-26T01:00:00Z"), Offset: 3600, Abbr: "CET"},
	{At: utc("2026-03-29T01:00:00Z"), Offset: 7200, Abbr: "CEST"},
	{At: utc("2026-10-25T01:00:00Z"), Offset: 3600, Abbr: "CET"},
	{At: utc("2027-03-28T01:00:00Z"), Offset: 7200, Abbr: "CEST"},
}}

func utc(s string) int64 {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t.Unix()
}

func TestWindows(t *testing.T) {
	night := []plans.Window{{From: "22:00", To: "04:00"}}
	weekday := []plans.Window{{Days: []string{"mon", "tue", "wed", "thu"}, From: "09:00", To: "16:00"}}
	for name, c := range map[string]struct {
		windows []plans.Window
		freeze  []plans.Freeze
		at      string // on a clock in Berlin, with its offset
		open    bool
		until   string // "": never
		why     string
	}{
		"none: always":             {at: "2026-05-01T12:00:00+02:00", open: true},
		"before":                   {windows: weekday, at: "2026-05-04T08:59:59+02:00", until: "2026-05-04T09:00:00+02:00", why: "no window is open in Europe/Berlin"},
		"at its first moment":      {windows: weekday, at: "2026-05-04T09:00:00+02:00", open: true, until: "2026-05-04T16:00:00+02:00"},
		"at its last":              {windows: weekday, at: "2026-05-04T15:59:59+02:00", open: true, until: "2026-05-04T16:00:00+02:00", why: "until Mon 2026-05-04 16:00 CEST"},
		"when it closes":           {windows: weekday, at: "2026-05-04T16:00:00+02:00", until: "2026-05-05T09:00:00+02:00"},
		"over the weekend":         {windows: weekday, at: "2026-05-07T17:00:00+02:00", until: "2026-05-11T09:00:00+02:00"},
		"over midnight":            {windows: night, at: "2026-05-05T01:00:00+02:00", open: true, until: "2026-05-05T04:00:00+02:00"},
		"after a night":            {windows: night, at: "2026-05-05T04:00:00+02:00", until: "2026-05-05T22:00:00+02:00"},
		"a night of one day":       {windows: []plans.Window{{Days: []string{"sun"}, From: "22:00", To: "04:00"}}, at: "2026-05-04T03:00:00+02:00", open: true, until: "2026-05-04T04:00:00+02:00"},
		"not that of the day":      {windows: []plans.Window{{Days: []string{"mon"}, From: "22:00", To: "04:00"}}, at: "2026-05-04T03:00:00+02:00", until: "2026-05-04T22:00:00+02:00"},
		"a whole day":              {windows: []plans.Window{{Days: []string{"sat"}, From: "00:00", To: "24:00"}}, at: "2026-05-09T23:59:59+02:00", open: true, until: "2026-05-10T00:00:00+02:00"},
		"two that meet":            {windows: []plans.Window{{From: "01:00", To: "03:00"}, {From: "02:00", To: "05:00"}}, at: "2026-05-09T02:30:00+02:00", open: true, until: "2026-05-09T05:00:00+02:00"},
		"opens an hour later":      {windows: night, at: "2026-03-29T12:00:00+02:00", until: "2026-03-29T22:00:00+02:00"},
		"spring: a short night":    {windows: night, at: "2026-03-28T23:00:00+01:00", open: true, until: "2026-03-29T04:00:00+02:00"},
		"spring: begins left out":  {windows: []plans.Window{{From: "02:30", To: "05:00"}}, at: "2026-03-29T01:30:00+01:00", until: "2026-03-29T03:00:00+02:00"},
		"spring: ends left out":    {windows: []plans.Window{{From: "01:00", To: "02:30"}}, at: "2026-03-29T01:59:59+01:00", open: true, until: "2026-03-29T03:00:00+02:00"},
		"spring: all left out":     {windows: []plans.Window{{From: "02:00", To: "02:30"}}, at: "2026-03-29T01:00:00+01:00", until: "2026-03-30T02:00:00+02:00"},
		"spring: a week left out":  {windows: []plans.Window{{Days: []string{"sun"}, From: "02:00", To: "03:00"}}, at: "2026-03-28T12:00:00+01:00", until: "2026-04-05T02:00:00+02:00"},
		"autumn: a long night":     {windows: night, at: "2026-10-24T23:00:00+02:00", open: true, until: "2026-10-25T04:00:00+01:00"},
		"autumn: the first of two": {windows: []plans.Window{{From: "02:30", To: "05:00"}}, at: "2026-10-25T02:00:00+02:00", until: "2026-10-25T02:30:00+02:00"},
		"autumn: still open":       {windows: []plans.Window{{From: "02:30", To: "05:00"}}, at: "2026-10-25T02:15:00+01:00", open: true, until: "2026-10-25T05:00:00+01:00"},
		"autumn: closes once":      {windows: []plans.Window{{From: "01:00", To: "02:30"}}, at: "2026-10-25T02:15:00+01:00", until: "2026-10-26T01:00:00+01:00"},
		"frozen":                   {freeze: []plans.Freeze{{From: "2026-12-20", To: "2027-01-03", Reason: "year end"}}, at: "2026-12-20T00:00:00+01:00", until: "2027-01-04T00:00:00+01:00", why: "frozen until the end of 2027-01-03: year end"},
		"frozen from then on":      {freeze: []plans.Freeze{{From: "2026-12-20"}}, at: "2026-12-19T23:59:59+01:00", open: true, until: "2026-12-20T00:00:00+01:00"},
		"frozen for a day":         {freeze: []plans.Freeze{{From: "2026-12-20"}}, at: "2026-12-20T23:59:59+01:00", until: "2026-12-21T00:00:00+01:00"},
		"thawed":                   {freeze: []plans.Freeze{{From: "2026-12-20"}}, at: "2026-12-21T00:00:00+01:00", open: true},
		"frozen beyond windows":    {windows: weekday, freeze: []plans.Freeze{{From: "2026-12-20", To: "2027-01-03"}}, at: "2026-12-22T12:00:00+01:00", until: "2027-01-04T09:00:00+01:00"},
		"a freeze in a window":     {windows: night, freeze: []plans.Freeze{{From: "2026-12-20"}}, at: "2026-12-19T23:00:00+01:00", open: true, until: "2026-12-20T00:00:00+01:00"},
		"two freezes in a row":     {windows: night, freeze: []plans.Freeze{{From: "2026-12-20"}, {From: "2026-12-21", To: "2026-12-22"}}, at: "2026-12-20T23:00:00+01:00", until: "2026-12-23T00:00:00+01:00"},
		"until further notice":     {freeze: []plans.Freeze{{From: "2020-01-01", To: "9999-12-31", Reason: "sold"}}, at: "2026-12-20T00:00:00+01:00", why: "frozen until the end of 9999-12-31: sold"},
		"windows, and then never":  {windows: night, freeze: []plans.Freeze{{From: "2026-12-20", To: "9999-01-01"}}, at: "2026-12-20T12:00:00+01:00"},
		"frozen over the change":   {freeze: []plans.Freeze{{From: "2026-10-25"}}, at: "2026-10-25T23:30:00+01:00", until: "2026-10-26T00:00:00+01:00"},
	} {
		t.Run(name, func(t *testing.T) {
			p := plans.BatchPolicy{Windows: c.windows, Freeze: c.freeze, TimeZone: berlin.Name, Zone: berlin}
			at, err := time.Parse(time.RFC3339, c.at)
			if err != nil {
				t.Fatal(err)
			}
			got := p.At(at.UTC())
			until := ""
			if !got.Until.IsZero() {
				until = berlin.Clock(got.Until).Format(time.RFC3339)
			}
			if got.Open != c.open || until != c.until || !strings.Contains(got.Why, c.why) {
				t.Errorf("open %v until %q (%s), want %v until %q (%s)", got.Open, until, got.Why, c.open, c.until, c.why)
			}
		})
	}
}

// TestWindowsTick goes through two years by quarters of an hour: what is said
// of when it changes is what is found there.
func TestWindowsTick(t *testing.T) {
	p := plans.BatchPolicy{Zone: berlin, Windows: []plans.Window{{Days: []string{"sat", "sun"}, From: "01:30", To: "02:45"}, {From: "23:00", To: "00:30"}},
		Freeze: []plans.Freeze{{From: "2026-03-30", To: "2026-04-06"}}}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	o := p.At(at)
	for range 2 * 365 * 96 {
		at = at.Add(15 * time.Minute)
		next := p.At(at)
		if changed := !at.Before(o.Until); changed != (next.Open != o.Open) && !(changed && next.Open) {
			t.Fatalf("at %s it is %+v, and was said to be %+v", at, next, o)
		}
		o = next
	}
}

func TestUTCWithoutRules(t *testing.T) {
	p := plans.BatchPolicy{Windows: []plans.Window{{From: "22:00", To: "23:00"}}}
	o := p.At(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
	if o.Open || o.Until.Format(time.RFC3339) != "2026-05-01T22:00:00Z" || o.Why != "no window is open" {
		t.Errorf("%+v", o)
	}
}

func TestFloor(t *testing.T) {
	for _, c := range []struct {
		floor plans.Floor
		n     int
		want  int
	}{{"", 50, 0}, {"40", 50, 40}, {"90%", 50, 45}, {"90%", 51, 46}, {"1%", 1, 0}, {"50%", 0, 0}, {"99%", 3, 2}, {"2", 1, 2}} {
		if got := c.floor.Of(c.n); got != c.want {
			t.Errorf("%s of %d is %d, want %d", c.floor, c.n, got, c.want)
		}
	}
}
