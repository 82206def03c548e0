package main

import (
	"bytes"
	"os"
	"regexp"
	"testing"

	"github.com/gitops-fleet/reconcile/schema"
)

const page = "../../../docs/plan-reference.md"

func TestReferenceIsUpToDate(t *testing.T) {
	want, err := render()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the schemas say; run go generate ./schema", page)
	}
}

// TestExamplesLoad reads every example of the page as a plan.
func TestExamplesLoad(t *testing.T) {
	text, err := render()
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(text, -1)
	if len(examples) == 0 {
		t.Fatal("the page has no example")
	}
	for _, e := range examples {
		docs, problems := schema.Parse("example.yaml", e[1])
		if len(problems) > 0 || len(docs) == 0 {
			t.Errorf("example has %d documents and these problems: %+v\n%s", len(docs), problems, e[1])
		}
	}
}
