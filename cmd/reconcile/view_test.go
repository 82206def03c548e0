package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
	"github.com/gitops-fleet/reconcile/reconcile/source"
)

var (
	noon  = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	image = "registry.example.com/app:1.1@sha256:1cea2a52161b008f5c8850f0ac32cf38a4fab939239db9ccaa295590538baf19"
	asks  = &reconcile.Question{ID: "globex.back-9c4e", Since: noon, Text: "the old version would lose 12 s of writes",
		Answers: map[string]string{"stay": "the new version keeps serving", "discard": "goes back, without these writes"}}
	held = reconcile.Report{Tenant: "acme", State: reconcile.HeldBack, Reason: "failed", Since: noon,
		Why: "g1:e53d80ac is held back here: acme/green/app is not healthy: GET /health: 500", Next: "a new target in the plan tries again"}
)

// fifty are the names of fifty tenants.
var fifty = func() (names []string) {
	for i := range 50 {
		names = append(names, fmt.Sprintf("customer-%02d", i+1))
	}
	return names
}()

// Screens from fixed values. Run with -update and read the diff.
func TestScreens(t *testing.T) {
	local := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = local })
	status := statusResult{Notes: []string{"no daemon runs here: this is one look, and nothing is acted on"}, Status: agent.Status{
		Fleet: "demo", Node: "host-1", Commit: "242fb115c5bc27900db16a26626cdeed38e9c7e8", Now: noon,
		Source: agent.SourceState{Since: noon.Add(-time.Hour), Problem: &observed.Problem{Op: "ask remote", Ref: "https://git.example.com/fleet.git main", Text: "connection refused", Hint: "is it up?"}},
		Tenants: []agent.TenantStatus{
			{Name: "acme", State: held.State, Reason: held.Reason, ActiveSlot: plans.Blue, Generation: "g1:670da367aaaaaaaa", Since: noon.Add(-90 * time.Second), Why: held.Why,
				Services: []agent.ServiceStatus{{Name: "app", Running: true, Healthy: true}, {Name: "worker", Running: true}}},
			{Name: "a-much-longer-name", State: reconcile.Converged, ActiveSlot: plans.Green, Generation: "g1:1dc0f700bbbbbbbb", Since: noon.Add(-72 * time.Hour), Why: "runs what the plan says"},
		},
	}}
	preview := previewResult{
		rev:   revision{Commit: source.Commit{Hash: "242fb115c5bc27900db16a26626cdeed38e9c7e8", Author: "Ann", Subject: "app 1.1"}},
		Notes: []string{"process 4711 is at work on this host since 12:00:00: what is shown may move"},
		Preview: agent.Preview{
			Changes: []agent.Change{
				{Tenant: "acme", Op: "replace", Data: []agent.DataEffect{{Volume: "data", How: "clone", From: "tank/acme/a2", Bytes: 3 << 30, Hold: 30 * time.Second, Writes: plans.Quiesce, OnBack: plans.Stay},
					{Volume: "logs", How: "back", From: "tank/logs/a1", Bytes: -1, Leaves: 5 << 20, Since: noon}},
					WayBack: &agent.WayBack{Generation: "g1:670da367aaaaaaaa", Slot: plans.Blue, Checks: []observed.Check{{ID: "way-back/spec", OK: true, Text: "its spec is stored"},
						{ID: "way-back/app", Text: "image app@sha256:1 is not on this host"}}}, GivesUp: plans.Green, Kept: plans.Blue, Until: noon.Add(time.Hour), Actions: []agent.Planned{
						{Op: "pull", Target: image, Why: "the new version needs its image"}, {Op: "route", Target: "acme→green", Why: "the new version is proved"}}},
				{Tenant: "globex", Op: "delete", Actions: []agent.Planned{{Op: "stop", Target: "globex/blue/app", Why: "the plan removes it"}}},
			},
			Summary: map[string]int{"replace": 1, "delete": 1, "unchanged": 4, "blocked": 1}, Takes: 7 * time.Second,
			Ports:   []agent.PortChoice{{Key: plans.Key{Tenant: "acme", Slot: plans.Green, Service: "app"}, Name: "http", Port: 20123}},
			Blocked: []reconcile.Report{{Tenant: "initech", Why: "host file /etc/initech.env is not there"}},
			Unseen:  []*observed.Problem{{Op: "look at instances of docker", Text: "no such socket", Hint: "start the engine"}},
		},
	}
	explanation := agent.Explanation{
		Report: reconcile.Report{Tenant: "globex", State: reconcile.Converged, Since: noon, Why: "runs what the plan says", Question: asks},
		Record: reconcile.Record{Current: &reconcile.Version{Slot: plans.Green, Generation: "g1:1dc0f700bbbbbbbb", Since: noon, Baked: true}},
		Facts: observed.Tenant{Instances: []observed.Instance{
			{Key: plans.Key{Tenant: "globex", Slot: plans.Green, Service: "app"}, Phase: observed.Running, Image: image, Health: observed.Health{Verdict: observed.Healthy, Last: "GET /health: 200 in 1ms"}},
			{Key: plans.Key{Tenant: "globex", Slot: plans.Blue, Service: "app"}, Phase: observed.Exited, Image: image},
		}},
		Log: map[string]string{"globex/blue/app": "listening\nfatal: disk full\n"},
	}
	lineage := agent.Lineage{Tenant: "acme", At: noon, Retention: plans.DefaultRetention(), Data: []reconcile.DataNode{
		{Dataset: observed.Dataset{ID: "tank/acme/a2", Volume: "data", Driver: "zfs", Role: observed.Discarded, Ready: true, Bytes: 3 << 30}, Use: "given up", Left: -1,
			Until: noon, Held: "snapshot tank/acme/a2@a3 is taken of it", Children: []reconcile.DataNode{
				{Dataset: observed.Dataset{ID: "tank/acme/a2@a3", Role: observed.Origin, Ready: true, Bytes: 5 << 20, Created: noon.Add(-time.Hour)}, Use: "snapshot, taken before a change",
					Left: -1, Restorable: true, Until: noon.Add(24 * time.Hour), Children: []reconcile.DataNode{
						{Dataset: observed.Dataset{ID: "tank/acme/a3", Role: observed.Live, Ready: true, Bytes: 812 << 20, Lacks: "dedup, sync"}, Use: "serves (g1:1dc0f700 in green)", Left: 800 << 20},
						{Dataset: observed.Dataset{ID: "tank/acme/a3r", Role: observed.Rehearsal}, Use: "used by nothing", Left: -1,
							Stuck: &reconcile.Stuck{Verb: reconcile.Destroy, Problem: observed.Problem{Text: "dataset is busy"}, Next: noon.Add(time.Minute)}}}},
				{Dataset: observed.Dataset{ID: "tank/acme/a2@a4", Role: observed.Origin, Ready: true, Bytes: 1 << 10, Created: noon, Holds: []string{"backup"}}, Use: "snapshot, taken before a change", Left: -1}}},
		{Dataset: observed.Dataset{ID: "acme.logs", Volume: "logs", Driver: "dir", Role: observed.Live, Ready: true, Bytes: 17}, Use: "serves (g1:1dc0f700 in green)", Left: -1},
	}}
	planned := previewResult{rev: preview.rev, Preview: agent.Preview{Rollouts: []agent.PlannedRollout{{ID: "ro-1f3a2b", Policy: "standard", Template: "platform", Members: 51, Moves: 50,
		Batches: []agent.PlannedBatch{{Name: "canary", Tenants: fifty[:2]}, {Name: "batch 1", Tenants: fifty[2:22]}, {Name: "batch 2", Tenants: fifty[22:]}},
		Passed:  []agent.PassedOver{{Tenant: "initech", Class: reconcile.ClassHeld, Why: "their audit"}}, Breaker: "2 failures in a row", Takes: time.Hour}},
		Unbatched: []agent.PlannedChange{{Template: "odd", Tenants: fifty[:14], Breaker: "stops at the first failure"}}}}
	later := previewResult{rev: preview.rev, Preview: agent.Preview{Summary: map[string]int{"replace": 1, "later": 3}, Takes: 50 * time.Hour, Rollouts: []agent.PlannedRollout{{ID: "ro-1f3a2b", Policy: "standard", Template: "platform",
		Members: 4, Moves: 4, Batches: []agent.PlannedBatch{{Name: "canary", Tenants: fifty[:1]}, {Name: "batch 1", Tenants: fifty[1:3], Later: true}, {Name: "batch 2", Tenants: fifty[3:4], Later: true}},
		Breaker: "the first failure, stops it and asks", Ends: reconcile.RolloutWaiting, Waits: "frozen until the end of 2099-12-31; batch 1 begins at 2100-01-01 00:00", Takes: 50 * time.Hour}}}}
	tripped := statusResult{Status: agent.Status{Fleet: "demo", Node: "host-1", Rollouts: []reconcile.Rollout{{ID: "ro-1f3a2b", Template: "platform", Phase: reconcile.RolloutWaiting, Batch: 1, Size: 50,
		Summary: reconcile.Summary{Upgraded: 2, Failed: 6}, Trip: &reconcile.Trip{Why: "6 failures in a row", Question: &reconcile.Question{ID: "ro-1f3a2b.trip1-9c4e", Since: noon,
			Text: "rollout ro-1f3a2b of template platform is stopped: 6 failures in a row", Answers: map[string]string{"abort": "leave the 2 that were moved", "retry": "try the 6 failed again"}}}}}}}
	for i, name := range fifty[:6] {
		f := reconcile.Failure{Tenant: name, Why: "app was not healthy within 1m0s; its last answer: GET /health: 500", Log: "listening\nno database\nretrying\npanic: no database\n", Restored: i != 1, Moves: i == 1, RanNothing: i == 2}
		tripped.Failed = append(tripped.Failed, agent.FailedTenant{Rollout: "ro-1f3a2b", Failure: f})
	}
	for name, draw := range map[string]func(*bytes.Buffer){
		"data":      func(b *bytes.Buffer) { writeLineage(b, lineage, 0) },
		"data_none": func(b *bytes.Buffer) { writeLineage(b, agent.Lineage{Tenant: "acme"}, 0) },
		"status":    func(b *bytes.Buffer) { writeStatus(b, status, 0) },
		"status_80": func(b *bytes.Buffer) { writeStatus(b, status, 80) },
		"status_none": func(b *bytes.Buffer) {
			writeStatus(b, statusResult{Status: agent.Status{Fleet: "demo", Node: "host-1"}}, 0)
		},
		"preview":                func(b *bytes.Buffer) { writePreview(b, preview, 0) },
		"preview_80":             func(b *bytes.Buffer) { writePreview(b, preview, 80) },
		"preview_rollouts":       func(b *bytes.Buffer) { writePreview(b, planned, 0) },
		"preview_rollouts_later": func(b *bytes.Buffer) { writePreview(b, later, 100) },
		"preview_rollouts_80":    func(b *bytes.Buffer) { writePreview(b, planned, 80) },
		"status_tripped":         func(b *bytes.Buffer) { writeStatus(b, tripped, 0) },
		"preview_none":           func(b *bytes.Buffer) { writePreview(b, previewResult{}, 0) },
		"pass": func(b *bytes.Buffer) {
			writeOutcome(b, agent.Outcome{Actions: 24, Took: 7840 * time.Millisecond, Due: []agent.Due{{Tenant: "acme", At: noon, What: "the way back to g1:670da367 is kept until 12:00"}}})
		},
		"pass_waits": func(b *bytes.Buffer) {
			gate := reconcile.Gate{For: reconcile.GateWindow, Why: "no window is open", Next: "batch 1 begins at Sun 2026-03-15 03:00 UTC"}
			o := agent.Outcome{Took: time.Second, Pending: 14, Blocked: []reconcile.Report{held}, Due: []agent.Due{{Tenant: "acme", At: noon, What: held.Next}},
				Rollouts: []reconcile.Rollout{{ID: "ro-1f3a2b", Template: "platform", Phase: reconcile.RolloutWaiting, Size: 15, Gate: gate, Note: "ring small has no tenant here"}}}
			for i := range fifty[:14] {
				o.Due = append(o.Due, agent.Due{Tenant: fifty[13-i], At: noon, What: "moves when the rollout lets it"})
			}
			writeOutcome(b, o)
		},
		"pass_none": func(b *bytes.Buffer) { writeOutcome(b, agent.Outcome{}) },
		"pass_blocked": func(b *bytes.Buffer) {
			globex := reconcile.Report{Tenant: "globex", State: reconcile.Converged, Why: "runs what the plan says", Question: asks}
			writeOutcome(b, agent.Outcome{Actions: 1, Took: time.Second, Blocked: []reconcile.Report{held, globex}, Waiting: []reconcile.Report{{Tenant: "initech", Why: "registry.example.com is down"}}})
		},
		"explain": func(b *bytes.Buffer) { writeExplanation(b, explanation) },
		"drift": func(b *bytes.Buffer) {
			writeDrift(b, []agent.TenantDrift{{Tenant: "acme", Drift: []reconcile.Drift{{Kind: "missing", What: "acme/blue/app", Text: "acme/blue/app was removed"}}}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			draw(&b)
			file := filepath.Join("testdata", "screens", name+".txt")
			if *update {
				if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("screen %s:\n%s\nwant:\n%s", name, b.String(), want)
			}
		})
	}
}

// TestPreviewStatus: what would only begin later is a change, and what waits for a
// person says so.
func TestPreviewStatus(t *testing.T) {
	batches := func(later bool) []agent.PlannedRollout {
		return []agent.PlannedRollout{{Batches: []agent.PlannedBatch{{Name: "canary", Tenants: []string{"a"}}, {Name: "batch 1", Tenants: []string{"b"}, Later: later}}}}
	}
	asked := batches(true)
	asked[0].Question = asks
	for _, c := range []struct {
		name string
		agent.Preview
		want error
	}{
		{"nothing", agent.Preview{}, nil},
		{"a rollout that went on by itself", agent.Preview{Rollouts: batches(false)}, nil},
		{"changes", agent.Preview{Changes: []agent.Change{{}}}, status(exitChanges)},
		{"later", agent.Preview{Rollouts: batches(true)}, status(exitChanges)},
		{"a question of a rollout", agent.Preview{Rollouts: asked}, status(exitBlocked)},
		{"blocked", agent.Preview{Blocked: []reconcile.Report{held}, Changes: []agent.Change{{}}}, status(exitBlocked)},
	} {
		if got := (previewResult{Preview: c.Preview}).status(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
