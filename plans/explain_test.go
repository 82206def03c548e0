package plans

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	text := platform + "---\nkind: BatchPolicy\nmetadata: {name: slow}\nspec: {healthWithin: 90s}\n"
	own := acme + `  activeSlot: green
  batchPolicy: slow
  services: {app: {env: {LOG: debug}}, mail: {health: {image: true}}}
  slots: {green: {services: {app: {image: app@B}}}, blue: {services: {app: {args: [x]}}}}
`
	fields, problems := Explain(documents(t, text, own), "acme", Options{})
	if problems != nil {
		t.Fatal(problems)
	}
	var out strings.Builder
	for _, f := range fields {
		fmt.Fprintf(&out, "%-45s %-12s %-16s %v\n", f.Path, f.Layer, f.From, f.Value)
	}
	const file = "testdata/explain.golden"
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestExplainNobody(t *testing.T) {
	_, problems := Explain(documents(t, platform, acme), "acne", Options{})
	if len(problems) != 1 || problems[0].Hint != "did you mean acme?" {
		t.Errorf("%+v", problems)
	}
	fields, problems := Explain(documents(t, platform, "kind: Tenant\nmetadata: {name: acme}\nspec: {removed: true}\n"), "acme", Options{})
	if problems != nil || len(fields) != 1 {
		t.Errorf("%v %v", fields, problems)
	}
	_, problems = Explain(documents(t, platform, acme+"  bake: x\n"), "acme", Options{})
	if len(problems) != 1 {
		t.Errorf("%v", problems)
	}
}
