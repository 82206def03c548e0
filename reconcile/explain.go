package reconcile

import (
	"encoding/json"

	"github.com/gitops-fleet/reconcile/plans"
)

// Explain tells what is known of a tenant in full sentences: how it stands and
// why, what serves, which ways lead back, what is under way, what is held back,
// what moved, and what waits for a person.
func Explain(r Report, rec Record) []string {
	lines := []string{r.Tenant + " is " + stateText(r) + " since " + stamp(r.Since) + ": " + r.Why + "."}
	if r.Next != "" {
		lines = append(lines, "Next: "+r.Next+".")
	}
	lines = append(lines, serves(rec)...)
	if a := rec.Attempt; a != nil {
		lines = append(lines, underWay(a))
	}
	for of, t := range plans.Sorted(map[string]*Trouble{"": rec.Trouble, " of repairing what serves": rec.RepairTrouble}) {
		if t != nil {
			lines = append(lines, "The last problem"+of+" ("+string(t.Problem.Class)+", "+plural(t.Tries, "try", "tries")+"): "+
				sentence(t.Problem)+hint(t.Problem.Hint)+". It is tried again at "+stamp(t.Next)+".")
		}
	}
	for _, w := range rec.Withheld {
		lines = append(lines, "Held back since "+stamp(w.Since)+" ("+w.Reason+"): "+targetText(w.Target)+", because "+w.Why+".")
	}
	for _, d := range r.Drift {
		lines = append(lines, "Moved without the plan: "+d.Text+".")
	}
	lines = append(lines, givenUp(rec)...)
	if q := r.Question; q != nil {
		lines = append(lines, "A question waits since "+stamp(q.Since)+" ("+q.ID+"): "+q.Text+".")
		for answer, means := range plans.Sorted(q.Answers) {
			lines = append(lines, "  "+answer+": "+means+".")
		}
	}
	return lines
}

// givenUp tells of data that nothing uses any more.
func givenUp(rec Record) []string {
	var lines []string
	rule := rec.Retention.Effective().Discarded
	for id, at := range plans.Sorted(rec.Discards) {
		line := "Given up data " + id + " are destroyed at " + stamp(at.Add(rule.For.Std()))
		if rule.Count > 0 {
			line += ", or when they are none of the newest " + itoa(rule.Count) + " any more"
		}
		lines = append(lines, line+".")
	}
	for id, s := range plans.Sorted(rec.Stuck) {
		lines = append(lines, "Data "+id+" "+s.Text()+" (since "+stamp(s.Since)+", "+plural(s.Tries, "try", "tries")+")"+hint(s.Problem.Hint)+". It is tried again at "+stamp(s.Next)+".")
	}
	return lines
}

func stateText(r Report) string {
	if r.Reason != "" {
		return string(r.State) + " (" + r.Reason + ")"
	}
	return string(r.State)
}

// serves tells what serves and what is kept.
func serves(rec Record) []string {
	cur := rec.Current
	if cur == nil {
		return []string{"Nothing of it serves."}
	}
	line := "It is served by " + versionText(cur) + " since " + stamp(cur.Since)
	if !cur.Baked {
		line += ", which has not passed its bake yet"
	}
	lines := []string{line + "."}
	also := rec.AlsoBack()
	switch kept := rec.Kept; {
	case kept == nil && len(also) > 0:
	case kept == nil:
		lines = append(lines, "No version is kept for the way back.")
	case !kept.Baked:
		lines = append(lines, "In "+string(kept.Slot)+" is "+short(kept.Generation)+", which never passed a bake and is no way back.")
	case rec.KeptUntil.IsZero():
		lines = append(lines, "The way back is "+versionText(kept)+".")
	default:
		lines = append(lines, "The way back is "+versionText(kept)+", kept until "+stamp(rec.KeptUntil)+".")
	}
	lines = append(append(lines, also...), rec.WayBackCost()...)
	if rec.Idle != nil {
		lines = append(lines, "The named idle slot runs "+versionText(rec.Idle)+".")
	}
	return lines
}

var wayBackText = map[string]string{
	"":            "Going back would leave behind",
	plans.Discard: "Going back would leave behind",
	plans.Stay:    "Going back would ask first about",
	plans.Carry:   "Going back would take along",
}

// WayBackCost says, for people, what the version that is kept does not have of the
// data, as last measured: a way back on its own data (onBack: discard) leaves that
// behind. Nothing where nothing was answered with a write.
func (rec Record) WayBackCost() []string {
	if rec.Current == nil || rec.Kept == nil || !rec.Current.Wrote {
		return nil
	}
	var lines []string
	for name, id := range plans.Sorted(rec.Current.Data) {
		if rec.Kept.Data[name] == "" || rec.Kept.Data[name] == id {
			continue
		}
		line := wayBackText[rec.Current.OnBack] + " what was written to " + name + " since " + stamp(rec.Current.Since)
		if m, ok := rec.Measured[id]; ok && m.Bytes >= 0 {
			line += ": " + m.Text() + " at " + stamp(m.At)
		}
		lines = append(lines, line+".")
	}
	return lines
}

func versionText(v *Version) string {
	text := short(v.Generation) + " in " + string(v.Slot)
	if v.Attempt != "" {
		text += " (attempt " + v.Attempt + ")"
	}
	return text
}

func underWay(a *Attempt) string {
	what := short(a.New.Generation) + " in " + string(a.New.Slot)
	switch a.Kind {
	case KindAside:
		what = a.Aside
	case KindLive:
		what = "the routes"
	}
	if a.Back {
		return "Attempt " + a.ID + " (" + what + ") goes back since " + stamp(a.Since) + ": " + a.Why + "."
	}
	return "Attempt " + a.ID + " (" + what + ") is at " + string(a.Phase) + " since " + stamp(a.Since) + ": it " + phaseText[a.Phase] + "."
}

func hint(h string) string {
	if h == "" {
		return ""
	}
	return "; " + h
}

// object returns a value's JSON fields.
func object(v any) map[string]json.RawMessage {
	text, err := json.Marshal(v)
	var out map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		return nil // a plan's values always have a JSON form
	}
	return out
}
