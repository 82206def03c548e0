package reconcile_test

import "testing"

// TestToTarget: what a tenant says of its attempt is about the target the plan
// has now. The rollout that moves it to this one has begun nothing while it still
// ends, or undoes, what an older one began.
func TestToTarget(t *testing.T) {
	s := newStory(t)
	for _, line := range []string{"image v4 sick", "plan app=v1 bake=1m", "run 2m"} {
		s.command(line)
	}
	for _, at := range []struct {
		when          string
		command       string
		moves, toward bool
	}{
		{"it is on its way", "plan app=v2 bake=1m", true, true},
		{"in its bake a newer target comes: it is finished first", "plan app=v3 bake=1m", true, false},
		{"the plan takes that back: it is on its way again", "plan app=v2 bake=1m", true, true},
		{"it arrived", "run 2m", false, false},
		{"it is on its way to what cannot prove itself", "plan app=v4 bake=1m", true, true},
	} {
		s.command(at.command)
		s.command("run 10s")
		if r := s.last; r.InMotion != at.moves || r.ToTarget != at.toward {
			t.Errorf("%s: in motion %v, to the target %v, want %v and %v (%s: %s)", at.when, r.InMotion, r.ToTarget, at.moves, at.toward, r.State, r.Why)
		}
	}
	// Undone because the plan moved on, it is not on its way to what the plan comes
	// back to meanwhile.
	s = newStory(t)
	s.command("plan app=v1")
	s.command("run 1m")
	s.command("image v2 slow")
	s.command("plan app=v2")
	s.command("run 5s")
	s.command("plan app=v1")
	s.command("step")
	if r := s.last; !r.InMotion || r.ToTarget {
		t.Errorf("undone: in motion %v, to the target %v (%s)", r.InMotion, r.ToTarget, r.Why)
	}
	s.command("plan app=v2")
	s.command("step")
	if r := s.last; !r.InMotion || r.ToTarget {
		t.Errorf("undone, and wanted again: in motion %v, to the target %v (%s)", r.InMotion, r.ToTarget, r.Why)
	}
}
