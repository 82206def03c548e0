package schema_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/schema"
)

var update = flag.Bool("update", false, "rewrite the expected problems in testdata/bad; read the diff as an operator would")

// TestBadInputs holds every message to the letter: NAME.yaml is read, and its
// problems are NAME.want.
func TestBadInputs(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test data: %v", err)
	}
	cases := 0
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(archive.Files); i += 2 {
			in, want := archive.Files[i], &archive.Files[i+1]
			name, isInput := strings.CutSuffix(in.Name, ".yaml")
			if !isInput || want.Name != name+".want" {
				t.Fatalf("%s: %s is followed by %s", file, in.Name, want.Name)
			}
			cases++
			t.Run(filepath.Base(file)+"/"+name, func(t *testing.T) {
				got := write(problemsOf(file, in))
				if *update {
					want.Data = []byte(got)
				}
				if got != string(want.Data) {
					t.Errorf("problems of\n%s\ngot:\n%s\nwant:\n%s", in.Data, got, want.Data)
				}
				if got == "" {
					t.Error("no problem was found")
				}
			})
		}
		if *update {
			if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if cases < 100 {
		t.Errorf("only %d cases ran", cases)
	}
}

func problemsOf(file string, in txtar.File) []plans.Problem {
	if strings.HasSuffix(file, "config.txtar") {
		_, problems := schema.Config(in.Name, in.Data)
		return problems
	}
	_, problems := schema.Parse(in.Name, in.Data)
	return problems
}

func write(problems []plans.Problem) string {
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&b, "%s:%d:%d: %s\n", p.Pos.File, p.Pos.Line, p.Pos.Column, p.Text)
		if p.Hint != "" {
			fmt.Fprintf(&b, "\t%s\n", p.Hint)
		}
	}
	return b.String()
}
