package schema

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"gopkg.in/yaml.v3"

	"github.com/gitops-fleet/reconcile/plans"
)

// fault is one thing the schema does not allow, with all that is needed to say
// it: where it is, which keyword of which schema refused it, and the value.
type fault struct {
	keys    []string // path of the value
	keyword string   // "type", "pattern", …
	schema  node
	value   any
	raw     string // as written, where it is a scalar
	isKey   bool   // the name of the field is at fault, not its value
}

// validate judges a document by the schema of its kind. Paths in bad are known
// to be wrong already.
func validate(kind string, p part, root *yaml.Node, doc map[string]any, bad map[string]bool) []plans.Problem {
	problems := rules(kind, p, root, doc)
	err := schemas().compiled[kind].Validate(doc)
	if err == nil {
		return problems
	}
	var ve *jsonschema.ValidationError
	if !errors.As(err, &ve) {
		return append(problems, plans.Problem{Pos: p.pos(1, 1), Text: "the document cannot be judged: " + err.Error()})
	}
	var found []fault
	for _, leaf := range leaves(ve, nil) {
		found = append(found, faults(leaf, doc)...)
	}
	for _, f := range onceEach(found) {
		if covered(bad, f.keys) {
			continue
		}
		at := f.find(root)
		text, hint := f.say(kind)
		problems = append(problems, plans.Problem{Pos: p.pos(at.Line, at.Column), Path: joinPointer(f.keys), Text: text, Hint: hint})
	}
	return problems
}

// onceEach drops the missing field that is there under a misspelt name.
func onceEach(found []fault) []fault {
	misspelt := map[string]bool{}
	for _, f := range found {
		if f.keyword == "additionalProperties" {
			if meant := f.meant(); meant != "" {
				misspelt[joinPointer(append(slices.Clone(f.keys[:len(f.keys)-1]), meant))] = true
			}
		}
	}
	return slices.DeleteFunc(found, func(f fault) bool {
		return f.keyword == "required" && misspelt[joinPointer(f.keys)]
	})
}

// find returns what the problem points at, and notes how the value is written:
// a value where it is one word, and else the key, where people look for it.
func (f *fault) find(root *yaml.Node) *yaml.Node {
	value, key, ok := find(root, f.keys)
	scalar := ok && value.Kind == yaml.ScalarNode
	if scalar && !f.isKey {
		f.raw = value.Value
	}
	if key != nil && (f.isKey || !scalar || value.Value == "") {
		return key
	}
	return value
}

func leaves(ve *jsonschema.ValidationError, out []*jsonschema.ValidationError) []*jsonschema.ValidationError {
	if len(ve.Causes) == 0 {
		return append(out, ve)
	}
	for _, c := range ve.Causes {
		out = leaves(c, out)
	}
	return out
}

// covered says that the path or a parent of it is known to be wrong.
func covered(bad map[string]bool, keys []string) bool {
	if len(bad) == 0 {
		return false
	}
	for i := range len(keys) + 1 {
		if bad[joinPointer(keys[:i])] && (i > 0 || len(keys) == 0) {
			return true
		}
	}
	return false
}

// faults turns one refusal of the validator into one fault a field: it lists
// all unknown and all missing fields of a map at once.
func faults(ve *jsonschema.ValidationError, doc map[string]any) []fault {
	i := strings.LastIndexByte(ve.AbsoluteKeywordLocation, '/')
	f := fault{
		keys:    splitPointer(ve.InstanceLocation),
		keyword: ve.AbsoluteKeywordLocation[i+1:],
		schema:  schemas().at(ve.AbsoluteKeywordLocation[:i]),
	}
	if strings.HasSuffix(ve.AbsoluteKeywordLocation[:i], "/propertyNames") {
		f.isKey = true
		f.value = f.keys[len(f.keys)-1]
		return []fault{f}
	}
	f.value = lookup(doc, f.keys)
	m, _ := f.value.(map[string]any)
	var out []fault
	switch f.keyword {
	case "additionalProperties":
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if _, known := f.schema.properties()[name]; !known {
				out = append(out, fault{keys: append(slices.Clip(f.keys), name), keyword: f.keyword, schema: f.schema, value: m[name], isKey: true})
			}
		}
	case "required":
		required, _ := f.schema["required"].([]any)
		for _, name := range required {
			if _, there := m[name.(string)]; !there {
				out = append(out, fault{keys: append(slices.Clip(f.keys), name.(string)), keyword: f.keyword, schema: f.schema})
			}
		}
	default:
		out = append(out, f)
	}
	return out
}

func lookup(v any, keys []string) any {
	for _, k := range keys {
		switch c := v.(type) {
		case map[string]any:
			v = c[k]
		case []any:
			var i int
			if _, err := fmt.Sscan(k, &i); err != nil || i < 0 || i >= len(c) {
				return nil
			}
			v = c[i]
		default:
			return nil
		}
	}
	return v
}
