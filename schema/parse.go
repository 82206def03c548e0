package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/gitops-fleet/reconcile/plans"
)

// Parse reads the documents of one YAML file. name is what positions call the
// file. Documents without a problem are returned even if others have one; a
// caller that acts on them refuses the whole commit as long as there is any
// problem. A file without a document is a problem, not an empty plan.
//
// The documents share no memory with text, keep the text of their own document,
// and must not be changed.
func Parse(name string, text []byte) ([]plans.Document, []plans.Problem) {
	parts, problems := readable(name, text)
	if problems != nil {
		return nil, problems
	}
	var docs []plans.Document
	for i, p := range parts {
		if len(problems) >= maxFileProblems {
			return docs, append(problems, plans.Problem{Pos: p.pos(1, 1),
				Text: fmt.Sprintf("and %d more documents in this file are not read, after so many problems", len(parts)-i)})
		}
		doc, found := parseDocument(p)
		problems = append(problems, found...)
		if len(found) == 0 {
			docs = append(docs, doc)
		}
	}
	return docs, problems
}

// readable returns the parts of a file that hold something, or why there are none.
func readable(name string, text []byte) ([]part, []plans.Problem) {
	at := plans.Pos{File: name, Line: 1, Column: 1}
	if len(text) > MaxFileSize {
		return nil, []plans.Problem{{Pos: at, Text: fmt.Sprintf("the file has %d bytes; at most %d are read", len(text), MaxFileSize), Hint: "split it"}}
	}
	s := string(text)
	if p, bad := unreadable(name, s); bad {
		return nil, []plans.Problem{p}
	}
	parts := slices.DeleteFunc(split(name, strings.TrimPrefix(s, "\ufeff")), part.blank)
	if len(parts) == 0 {
		return nil, []plans.Problem{{Pos: at, Text: "the file holds no document", Hint: "write one, or delete the file"}}
	}
	return parts, nil
}

func parseDocument(p part) (plans.Document, []plans.Problem) {
	root, err := parseNode(p)
	if err != nil {
		return plans.Document{}, []plans.Problem{syntaxProblem(p, err)}
	}
	r := &reader{part: p}
	v := r.value(root)
	if r.full {
		return plans.Document{}, r.problems
	}
	doc, ok := v.(map[string]any)
	if !ok {
		r.problem(root, "the document is "+aValue(v, root.Value)+", not a map", "start it with apiVersion: "+plans.Version)
		return plans.Document{}, r.problems
	}
	kind, problems := envelope(p, root, doc)
	if kind != "" {
		problems = validate(kind, p, root, doc, r.bad)
	}
	problems = tidy(append(r.problems, problems...))
	if len(problems) > 0 {
		return plans.Document{}, problems
	}
	return document(p, root, doc), nil
}

// envelope finds the kind by which the rest is judged.
func envelope(p part, root *yaml.Node, doc map[string]any) (string, []plans.Problem) {
	kinds := documentKinds()
	say := func(field, text, hint string) (string, []plans.Problem) {
		line, column := place(root, []string{field})
		return "", []plans.Problem{{Pos: p.pos(line, column), Path: "/" + field, Text: text, Hint: hint}}
	}
	version, ok := doc["apiVersion"]
	if !ok {
		return say("apiVersion", "the document has no apiVersion", "start it with apiVersion: "+plans.Version)
	}
	if version != plans.Version {
		return say("apiVersion", fmt.Sprintf("apiVersion must be %s, not %s", plans.Version, aValue(version, "")), "only plan documents are read here; other files belong in a folder named files")
	}
	kind, ok := doc["kind"]
	if !ok {
		return say("kind", "the document has no kind", "write one of "+strings.Join(kinds, ", "))
	}
	name, _ := kind.(string)
	if !slices.Contains(kinds, name) {
		hint := "write one of " + strings.Join(kinds, ", ")
		if near := nearest(name, kinds); near != "" {
			hint = "did you mean " + near + "? The kinds are " + strings.Join(kinds, ", ")
		}
		return say("kind", fmt.Sprintf("kind is %s, which is not known", aValue(kind, "")), hint)
	}
	return name, nil
}

func document(p part, root *yaml.Node, doc map[string]any) plans.Document {
	meta := doc["metadata"].(map[string]any)
	d := plans.Document{
		Kind:  plans.Kind(doc["kind"].(string)),
		Name:  meta["name"].(string),
		At:    p.pos(root.Line, root.Column),
		Where: p.where,
	}
	d.Formerly, _ = meta["formerly"].(string)
	if labels, ok := meta["labels"].(map[string]any); ok && len(labels) > 0 {
		d.Labels = make(map[string]string, len(labels))
		for k, v := range labels {
			d.Labels[k] = v.(string)
		}
	}
	d.Spec, _ = doc["spec"].(map[string]any)
	if d.Spec == nil {
		d.Spec = map[string]any{}
	}
	d.Zones = zonesOf(&d)
	return d
}

// tidy orders problems by place and cuts a flood.
func tidy(problems []plans.Problem) []plans.Problem {
	slices.SortStableFunc(problems, func(a, b plans.Problem) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Text, b.Text))
	})
	if more := len(problems) - maxProblems; more > 0 {
		problems = append(problems[:maxProblems:maxProblems], plans.Problem{Pos: problems[maxProblems].Pos,
			Text: "and " + strconv.Itoa(more) + " more problems in this document"})
	}
	return problems
}
