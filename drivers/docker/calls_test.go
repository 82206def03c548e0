package docker_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers/docker"
	"github.com/gitops-fleet/reconcile/plans"
)

// ledger writes down the requests to the engine, without versions and ids.
type ledger struct {
	mu    sync.Mutex
	lines []string
}

var (
	version   = regexp.MustCompile(`^/v[0-9.]+`)
	ids       = regexp.MustCompile(`/[0-9a-f]{64}\b`)
	imagePath = regexp.MustCompile(`/images/.*/json`)
)

func (l *ledger) note(method, path string) {
	path = imagePath.ReplaceAllString(ids.ReplaceAllString(version.ReplaceAllString(path, ""), "/ID"), "/images/REF/json")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, method+" "+path)
}

// since returns what was asked since the last call.
func (l *ledger) since() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	l.lines = nil
	return lines
}

func TestRequestsAreFew(t *testing.T) {
	e := sharedEngine(t)
	var l ledger
	rt := openAs(t, docker.Config{Host: e.Host, State: t.TempDir(), Owner: owner, Each: l.note})
	first, second := serve(t, "acme", plans.Blue, "app"), serve(t, "acme", plans.Blue, "side")
	must(t, rt.Pull(bound(t), first.Spec.Image, nil))
	heard, _, _ := watch(t, rt)
	want := func(what string, lines ...string) {
		t.Helper()
		if got := l.since(); !slices.Equal(got, lines) {
			t.Errorf("%s asks\n\t%s\nwant\n\t%s", what, strings.Join(got, "\n\t"), strings.Join(lines, "\n\t"))
		}
	}
	until(t, func() string {
		if got := l.since(); !slices.Contains(got, "GET /events") {
			return "the watch is not up"
		}
		return ""
	})
	must(t, rt.Pull(bound(t), first.Spec.Image, nil))
	want("a pull of what is there", "GET /images/REF/json")
	must(t, rt.Pull(bound(t), bed(t).refs["serve2"], nil))
	want("a pull", "GET /images/REF/json", "GET /info", "GET /images/json", "POST /images/create", "GET /images/REF/json")

	must(t, rt.Start(bound(t), "1", first))
	want("the first start in a slot",
		"GET /networks/reconcile-test-acme-blue", "POST /networks/create", "GET /containers/json",
		"POST /containers/create", "POST /containers/ID/start")
	must(t, rt.Start(bound(t), "2", second))
	want("a further start", "POST /containers/create", "POST /containers/ID/start")
	answers(t, first.Ports["http"], first.Spec.Env["VERSION"])
	drain(heard)

	observe := func() {
		t.Helper()
		if _, _, err := rt.Observe(bound(t)); err != nil {
			t.Fatal(err)
		}
	}
	observe()
	if got := l.since(); len(got) > 5 {
		t.Errorf("the first look asks %q", got)
	}
	until(t, func() string { // health events of the images end by and by
		observe()
		if got := l.since(); !slices.Equal(got, []string{"GET /containers/json"}) {
			return fmt.Sprintf("a look at what has not moved asks %q", got)
		}
		return ""
	})
	must(t, rt.Start(bound(t), "3", first))
	want("a start of what runs", "POST /containers/create", "GET /containers/reconcile-test-acme-blue-app/json")
	must(t, rt.SetRouted(bound(t), "4", first.Key, true))
	want("a switch", "GET /containers/reconcile-test-acme-blue-app/json", "POST /containers/ID/update")
}
