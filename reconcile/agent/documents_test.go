package agent

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// rows returns the tables of a document: the code in the first cell → the cells.
func rows(t testing.TB, file string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + file)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		name := strings.TrimSpace(cells[0])
		if len(cells) < 2 || !strings.HasPrefix(name, "`") {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		name = strings.Trim(name, "`")
		if out[name] != nil {
			t.Errorf("%s names %s twice", file, name)
		}
		out[name] = cells
	}
	return out
}

// eventKinds are the string constants of a file that are events' names.
func eventKinds(t *testing.T, file string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.BasicLit); ok && v.Kind == token.STRING {
			if s, err := strconv.Unquote(v.Value); err == nil && strings.Contains(s, ".") {
				kinds = append(kinds, s)
			}
		}
		return true
	})
	return kinds
}

// TestEventsDocument: the document names exactly the events there are. That
// their fields are in it is checked wherever a test makes one, see documented.
func TestEventsDocument(t *testing.T) {
	kinds := append(eventKinds(t, "../events.go"), eventKinds(t, "events.go")...)
	if len(kinds) < 25 {
		t.Fatalf("only %d kinds found: %v", len(kinds), kinds)
	}
	slices.Sort(kinds)
	if told := slices.Sorted(maps.Keys(rows(t, "events.md"))); !slices.Equal(told, kinds) {
		t.Errorf("docs/events.md lists\n%v\nthere are\n%v", told, kinds)
	}
}

var eventRows = sync.OnceValue(func() map[string][]string {
	text, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		return nil
	}
	out := map[string][]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z._]+)` \\|[^|]*\\|([^|]*)\\|$").FindAllStringSubmatch(string(text), -1) {
		out[m[1]] = strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' || r == ' ' })
	}
	return out
})

// documented fails a test that saw an event, or a field of one, that
// docs/events.md does not name.
func documented(t testing.TB, ev reconcile.Event) {
	fields, ok := eventRows()[ev.Kind]
	if !ok {
		t.Errorf("docs/events.md does not name %s", ev.Kind)
	}
	for f := range ev.Fields {
		if !slices.Contains(fields, f) {
			t.Errorf("docs/events.md does not name field %s of %s", f, ev.Kind)
		}
	}
}

// TestMetricsDocument scrapes an agent that has done all it counts: the document
// names exactly what it shows, with the same words.
func TestMetricsDocument(t *testing.T) {
	w := newWorld(t, fleet("c1", 1, "app1"))
	m := w.agent.metrics
	m.action(reconcile.Pull, reconcile.Result{})
	m.look(true, time.Millisecond)
	m.probe(observed.Health{})
	m.commit(time.Millisecond)
	m.events.WithLabelValues(PlanAccepted).Inc()
	answer := httptest.NewRecorder()
	w.agent.Public().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	shown := answer.Body.String()
	told := rows(t, "metrics.md")
	for _, m := range regexp.MustCompile(`(?m)^# HELP (\S+) (.*)\n# TYPE \S+ (\S+)\n[a-z_]+(?:\{([^}]*)\})?`).FindAllStringSubmatch(shown, -1) {
		name, help, kind := m[1], m[2], m[3]
		var labels []string
		for _, l := range regexp.MustCompile(`([a-z]+)="`).FindAllStringSubmatch(m[4], -1) {
			if l[1] != "le" { // a histogram's own
				labels = append(labels, l[1])
			}
		}
		want := []string{kind, strings.Join(labels, ", "), help}
		if got := told[name]; len(got) != 4 || !slices.Equal(got[1:], want) {
			t.Errorf("docs/metrics.md says of %s\n%v\nit is\n%v", name, got, want)
		}
		delete(told, name)
	}
	for name := range told {
		t.Errorf("docs/metrics.md names %s, which is not shown:\n%s", name, shown)
	}
}
