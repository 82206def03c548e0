// Package rules finds the rules that the checkers of a simulator can report, by
// reading their source.
package rules

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"testing"
)

// Covered fails the test for every rule that a checker in the directory of the
// test reports, by a call of fail("RULE", …), and that is not among those some
// deliberate mistake is caught by.
func Covered(t *testing.T, caught map[string]bool) {
	t.Helper()
	where := Reported(t, ".")
	if len(where) == 0 {
		t.Fatal("no checker reports a rule")
	}
	for rule, at := range where {
		if !caught[rule] {
			t.Errorf("%s: no mutant is caught by the rule %q: add one, or the rule may hold nothing", at, rule)
		}
	}
}

// Reported are the rules that the sources in a directory report, each with one
// place where it is.
func Reported(t *testing.T, dir string) map[string]token.Position {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]token.Position{}
	set := token.NewFileSet()
	for _, file := range files {
		f, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && len(call.Args) > 1 {
				if rule, ok := ruleOf(call); ok {
					out[rule] = set.Position(call.Pos())
				}
			}
			return true
		})
	}
	return out
}

// ruleOf is the rule a call reports, if it is one of a method fail with a rule.
func ruleOf(call *ast.CallExpr) (string, bool) {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || method.Sel.Name != "fail" {
		return "", false
	}
	text, ok := call.Args[0].(*ast.BasicLit)
	if !ok || text.Kind != token.STRING {
		return "", false
	}
	rule, err := strconv.Unquote(text.Value)
	return rule, err == nil
}
