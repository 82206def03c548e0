package schema_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/schema"
)

// FuzzParse holds for any text: it is documents or problems and never neither;
// problems have a place and a sentence; a document holds JSON values only,
// says where its fields are, and written as JSON reads as the same document.
func FuzzParse(f *testing.F) {
	f.Add([]byte(twoDocuments))
	files, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, in := range archive.Files {
			if strings.HasSuffix(in.Name, ".yaml") {
				f.Add(in.Data)
			}
		}
	}
	if page, err := os.ReadFile("../docs/plan-reference.md"); err == nil {
		if _, rest, ok := strings.Cut(string(page), "```yaml\n"); ok {
			example, _, _ := strings.Cut(rest, "```")
			f.Add([]byte(example))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		docs, problems := schema.Parse("f.yaml", text)
		if len(docs) == 0 && len(problems) == 0 {
			t.Fatal("neither a document nor a problem")
		}
		lines := strings.Count(string(text), "\n") + 2
		for _, p := range problems {
			if p.Pos.Line < 1 || p.Pos.Line > lines || p.Pos.Column < 1 || p.Text == "" || p.Pos.File != "f.yaml" {
				t.Fatalf("problem %+v in %d lines", p, lines)
			}
		}
		for _, d := range docs {
			same(t, d)
		}
		schema.Config("f.yaml", text)
	})
}

func same(t *testing.T, d plans.Document) {
	t.Helper()
	meta := map[string]any{"name": d.Name}
	if d.Labels != nil {
		meta["labels"] = d.Labels
	}
	if d.Formerly != "" {
		meta["formerly"] = d.Formerly
	}
	text, err := json.Marshal(map[string]any{"apiVersion": plans.Version, "kind": d.Kind, "metadata": meta, "spec": d.Spec})
	if err != nil {
		t.Fatalf("not JSON: %v", err)
	}
	again, problems := schema.Parse("again.yaml", text)
	if len(problems) > 0 || len(again) != 1 {
		t.Fatalf("as JSON: %+v\n%s", problems, text)
	}
	if !reflect.DeepEqual(again[0].Spec, d.Spec) || again[0].Name != d.Name {
		t.Fatalf("read again: %v\nfirst: %v", again[0].Spec, d.Spec)
	}
	for _, path := range []string{"", "/spec", "/services/app/image", "/metadata/name", "//", "/0"} {
		if at := d.Where(path); at.Line < d.At.Line-1 || at.File != "f.yaml" {
			t.Fatalf("Where(%q) = %+v of a document at %+v", path, at, d.At)
		}
	}
}
