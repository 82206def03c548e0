package endtoend

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// edge is the plan of examples/rolling-canary, or a part of it: as many of its
// tenants as a drill has, and times as short as it wants them.
type edge struct {
	text  string            // fleet.yaml
	order []string          // the tenants as a rollout of all of them goes
	docs  map[string]string // of the tenants
}

// edgeRings are the rings of the example in the order they get a change.
var edgeRings = []string{"canary", "internal", "small", "large"}

// edgeOf is the example with n of its fifty tenants, all in its proportions but
// for the canaries, of which there are two.
func edgeOf(t *testing.T, name string, n int) *edge {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "examples", "rolling-canary", "plans")
	read := func(file string) string {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	internal, large := max(1, ((n-2)*8+24)/48), max(1, ((n-2)*10+24)/48)
	take := map[string]int{"canary": 2, "internal": internal, "large": large, "small": n - 2 - internal - large}
	e := &edge{docs: map[string]string{}}
	for _, ring := range edgeRings {
		for _, doc := range strings.Split(read("tenants/"+ring+".yaml"), "---\n")[:take[ring]] {
			_, name, _ := strings.Cut(doc, "metadata: {name: ")
			name, _, _ = strings.Cut(name, ",")
			e.order = append(e.order, name)
			e.docs[name] = doc
		}
	}
	if len(e.order) != n {
		t.Fatalf("%d tenants of the example, not %d", len(e.order), n)
	}
	within := "4s"
	if n > 12 { // all that were moved go back at once
		within = "20s"
	}
	e.text = replaced(t, read("fleet.yaml"),
		"{name: rolling-canary}", "{name: "+name+"}",
		"bake: 10m", "bake: "+canaryBake.String(),
		"bake: 2m", "bake: "+batchBake.String(),
		"bake: 30s", "bake: 50ms",
		"stagger: 5s", "stagger: 10ms",
		"interval: 2s, successes: 3", "interval: 250ms, successes: 2, timeout: 5s",
		"healthWithin: 1m", "healthWithin: "+within,
		"port: 8080", "port: 8080\n      stopTimeout: 5s")
	return e
}

// image is the example with another image.
func (e *edge) image(t *testing.T, ref string) map[string]string {
	t.Helper()
	_, old, _ := strings.Cut(e.text, "image: ")
	old, _, _ = strings.Cut(old, "\n")
	return map[string]string{"fleet.yaml": replaced(t, e.text, old, ref)}
}

// all is the whole repository with an image.
func (e *edge) all(t *testing.T, ref string) map[string]string {
	t.Helper()
	files := e.image(t, ref)
	var docs []string
	for _, tenant := range e.order {
		docs = append(docs, e.docs[tenant])
	}
	files["tenants.yaml"] = strings.Join(docs, "---\n")
	return files
}

// removed has a tombstone for each tenant.
func (e *edge) removed(t *testing.T, ref string) map[string]string {
	t.Helper()
	files := e.all(t, ref)
	files["tenants.yaml"] = strings.ReplaceAll(files["tenants.yaml"], "{template: edge}", "{template: edge, removed: true}")
	_, name, _ := strings.Cut(e.text, "kind: Fleet\nmetadata: ")
	name, _, _ = strings.Cut(name, "\n")
	files["fleet.yaml"] = replaced(t, files["fleet.yaml"], name, name+"\nspec: {pruneBudget: 100}")
	return files
}

// place is where a tenant is in the order.
func (e *edge) place(tenant string) int { return slices.Index(e.order, tenant) }

// replaced replaces texts that must be there, each once.
func replaced(t *testing.T, s string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if strings.Count(s, pairs[i]) != 1 {
			t.Fatalf("the example has %q %d times, not once", pairs[i], strings.Count(s, pairs[i]))
		}
		s = strings.Replace(s, pairs[i], pairs[i+1], 1)
	}
	return s
}
