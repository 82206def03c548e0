package proposal

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

const digest = "@sha256:1cea2a52161b008f5c8850f0ac32cf38a4fab939239db9ccaa295590538baf19"

// fleet is a plan with the templates web and job at versions.
func fleet(web, job, more string) string {
	template := func(name, version string) string {
		return fmt.Sprintf(`---
apiVersion: reconcile/v1
kind: Template
metadata: {name: %s}
spec:
  strategy: recreate
  services:
    app:
      # what runs
      image: registry.example.com/%s:%s%s
      env: {VERSION: "%s"}
`, name, name, version, digest, version)
	}
	return "apiVersion: reconcile/v1\nkind: Fleet\nmetadata: {name: demo}\n" + more + template("web", web) + template("job", job)
}

func tenant(name, template, spec string) string {
	return fmt.Sprintf("apiVersion: reconcile/v1\nkind: Tenant\nmetadata: {name: %s}\nspec:\n  template: %s\n%s", name, template, spec)
}

func (w *workshop) revert(s Subject) (*Clone, Reverted, error) {
	w.t.Helper()
	c := w.open("plans")
	r, err := c.Revert(w.t.Context(), "revert/x", "x", s)
	if err == nil {
		err = c.Keep(r.Draft)
	}
	return c, r, err
}

func (w *workshop) show(file string) string {
	w.t.Helper()
	return w.git("show", "revert/x:"+file) + "\n"
}

func (w *workshop) begin() {
	w.commit("begin", map[string]string{
		"plans/fleet.yaml": fleet("1.0", "1.0", ""),
		"plans/acme.yaml":  tenant("acme", "web", ""), "plans/globex.yaml": tenant("globex", "web", ""), "plans/hooli.yaml": tenant("hooli", "job", ""),
		"README.md": "plans\n"})
}

// Only what concerns the tenant is taken back of a commit that did more, and
// what came after it stays.
func TestRevertOfATemplate(t *testing.T) {
	w := newWorkshop(t)
	w.begin()
	both := w.commit("web and job 2.0", map[string]string{"plans/fleet.yaml": fleet("2.0", "2.0", ""), "README.md": "plans, 2.0\n"})
	w.commit("say more", map[string]string{"plans/fleet.yaml": fleet("2.0", "2.0", "# of the demo\n"), "plans/initech.yaml": tenant("initech", "job", "")})
	_, r, err := w.revert(Subject{Tenant: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	if r.Commit.Hash != both || strings.Join(r.Files, " ") != "plans/fleet.yaml" || strings.Join(r.Moves, " ") != "acme globex" {
		t.Errorf("takes back %s in %v, moves %v", r.Commit.Subject, r.Files, r.Moves)
	}
	if got := w.show("plans/fleet.yaml"); got != fleet("1.0", "2.0", "# of the demo\n") {
		t.Errorf("fleet.yaml:\n%s", got)
	}
	if got := w.show("README.md"); got != "plans, 2.0\n" {
		t.Errorf("README: %s", got)
	}
}

// A tenant's own change is taken back in its own file, past commits that did not
// change it, and past those that nobody followed.
func TestRevertOfATenant(t *testing.T) {
	w := newWorkshop(t)
	w.begin()
	w.commit("a slip", map[string]string{"plans/acme.yaml": tenant("acme", "web", "  servces: {}\n")})
	fix := w.commit("acme says more", map[string]string{"plans/acme.yaml": tenant("acme", "web", "  services: {app: {env: {LOG: debug}}}\n")})
	w.commit("others", map[string]string{"plans/globex.yaml": tenant("globex", "web", "  services: {app: {env: {LOG: debug}}}\n")})
	_, r, err := w.revert(Subject{Tenant: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	if r.Commit.Hash != fix || strings.Join(r.Moves, " ") != "acme" || w.show("plans/acme.yaml") != tenant("acme", "web", "") {
		t.Errorf("takes back %s, moves %v:\n%s", r.Commit.Subject, r.Moves, w.show("plans/acme.yaml"))
	}
	// A revert is a change like any: its revert brings the change again.
	w.git("merge", "-q", "--ff-only", "revert/x")
	w.git("push", "-q", "origin", "main")
	w.git("branch", "-D", "-q", "revert/x")
	if _, _, err = w.revert(Subject{Tenant: "acme"}); err != nil {
		t.Fatal(err)
	}
	if got := w.show("plans/acme.yaml"); !strings.Contains(got, "debug") {
		t.Errorf("acme.yaml:\n%s", got)
	}
}

// A tenant that the plan lost is there again.
func TestRevertOfARemovedFile(t *testing.T) {
	w := newWorkshop(t)
	w.begin()
	w.git("rm", "-q", "plans/acme.yaml")
	w.commit("tidy up", nil)
	if _, _, err := w.revert(Subject{Tenant: "acme"}); err != nil {
		t.Fatal(err)
	}
	if got := w.show("plans/acme.yaml"); got != tenant("acme", "web", "") {
		t.Errorf("acme.yaml:\n%s", got)
	}
}

// What all share is taken back where it alone made the change, and files that
// services take with them where nothing else did.
func TestRevertReachesAsFarAsItMust(t *testing.T) {
	w := newWorkshop(t)
	w.begin()
	with := tenant("acme", "web", "  services: {app: {files: {/etc/a.toml: {from: files/a.toml}}}}\n")
	w.commit("a file", map[string]string{"plans/acme.yaml": with, "plans/files/a.toml": "a = 1\n"})
	w.commit("another file", map[string]string{"plans/files/a.toml": "a = 2\n"})
	if _, _, err := w.revert(Subject{Tenant: "acme"}); err != nil {
		t.Fatal(err)
	}
	if got := w.show("plans/files/a.toml"); got != "a = 1\n" {
		t.Errorf("a.toml: %s", got)
	}
	w.git("branch", "-D", "-q", "revert/x")
	w.commit("defaults", map[string]string{"plans/fleet.yaml": fleet("1.0", "1.0", "spec: {defaults: {services: {app: {env: {ZONE: eu}}}}}\n")})
	if _, r, err := w.revert(Subject{Tenant: "acme"}); err != nil || strings.Join(r.Moves, " ") != "acme globex hooli" {
		t.Fatal(err, r.Moves)
	}
	if got := w.show("plans/fleet.yaml"); got != fleet("1.0", "1.0", "") {
		t.Errorf("fleet.yaml:\n%s", got)
	}
}

func TestRevertRefuses(t *testing.T) {
	w := newWorkshop(t)
	w.begin()
	for name, want := range map[string]string{
		"acme":   "nothing is known of it before",
		"nobody": "no commit of this branch names such a tenant",
	} {
		if _, _, err := w.revert(Subject{Tenant: name}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.commit("initech comes", map[string]string{"plans/initech.yaml": tenant("initech", "job", "")})
	if _, _, err := w.revert(Subject{Tenant: "initech"}); err == nil || !strings.Contains(err.Error(), "it began with commit") {
		t.Errorf("initech: %v", err)
	}
	// The line beside the image was changed since, which changes no target.
	w.commit("web 2.0", map[string]string{"plans/fleet.yaml": fleet("2.0", "1.0", "")})
	w.commit("a comment", map[string]string{"plans/fleet.yaml": strings.Replace(fleet("2.0", "1.0", ""), "# what runs", "# what runs here", 1)})
	_, _, err := w.revert(Subject{Tenant: "acme"})
	if err == nil || !strings.Contains(err.Error(), "fleet.yaml was changed again in the same place") || !strings.Contains(err.Error(), "    before        image: registry.example.com/web:1.0@") {
		t.Errorf("conflict: %v", err)
	}
	if observed.ClassOf(err) != observed.Refused {
		t.Errorf("class %s", observed.ClassOf(err))
	}
}

// A rollout's change is the one that brought its release, also over commits that
// no host followed one by one.
func TestRevertOfARelease(t *testing.T) {
	w := newWorkshop(t)
	w.begin()
	release := func() string {
		r := &reader{clone: w.open("plans")}
		p, err := r.plan(w.git("rev-parse", "HEAD"), "acme")
		if err != nil {
			t.Fatal(err)
		}
		return p.Tenant("acme").Release
	}
	one := release()
	w.commit("web 2.0", map[string]string{"plans/fleet.yaml": fleet("2.0", "1.0", "")})
	w.commit("web 2.1", map[string]string{"plans/fleet.yaml": fleet("2.1", "1.0", ""), "plans/acme.yaml": tenant("acme", "web", "  services: {app: {env: {LOG: debug}}}\n")})
	s := Subject{Tenant: "acme", Release: true, From: one, To: release()}
	_, r, err := w.revert(s)
	if err != nil {
		t.Fatal(err)
	}
	if w.show("plans/fleet.yaml") != fleet("1.0", "1.0", "") || strings.Join(r.Files, " ") != "plans/fleet.yaml" {
		t.Errorf("files %v:\n%s", r.Files, w.show("plans/fleet.yaml"))
	}
	w.git("branch", "-D", "-q", "revert/x")
	w.commit("web 2.2", map[string]string{"plans/fleet.yaml": fleet("2.2", "1.0", "")})
	if _, _, err := w.revert(s); err == nil || !strings.Contains(err.Error(), "does not ask for what the rollout brings any more") {
		t.Errorf("got %v", err)
	}
}

// Without a host, the id of a rollout says which change it spread.
func TestFindRollout(t *testing.T) {
	w := newWorkshop(t)
	policy := "---\napiVersion: reconcile/v1\nkind: BatchPolicy\nmetadata: {name: careful}\nspec: {batchSize: 2}\n"
	plan := func(version string) map[string]string {
		return map[string]string{"plans/fleet.yaml": strings.ReplaceAll(fleet(version, "1.0", policy), "strategy: recreate", "strategy: recreate\n  batchPolicy: careful"),
			"plans/acme.yaml": tenant("acme", "web", "")}
	}
	w.commit("web 1.0", plan("1.0"))
	one := w.git("rev-parse", "HEAD")
	w.commit("web 2.0", plan("2.0"))
	two := w.git("rev-parse", "HEAD")
	w.commit("web 3.0", plan("3.0"))
	c := w.open("plans")
	release := func(commit string) string {
		r := &reader{clone: c}
		p, err := r.plan(commit)
		if err != nil {
			t.Fatal(err)
		}
		return p.Tenant("acme").Release
	}
	id := reconcile.RolloutBase("careful", "web", release(one), release(two), "host-1")
	want := Subject{Tenant: "acme", Release: true, From: release(one), To: release(two)}
	for _, given := range []string{id, id + "-2", id[:8], strings.TrimPrefix(id, "ro-")} {
		if got, err := c.FindRollout(t.Context(), given, "host-1"); err != nil || got != want {
			t.Errorf("%s: %+v %v, want %+v", given, got, err, want)
		}
	}
	for _, given := range [][2]string{{id, "host-2"}, {"ro-000000", "host-1"}, {"", "host-1"}} {
		if _, err := c.FindRollout(t.Context(), given[0], given[1]); err == nil {
			t.Errorf("%v is found", given)
		}
	}
}
