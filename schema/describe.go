package schema

import (
	"fmt"
	"strings"
	"sync"
)

// What a change of a field does. Every field of every schema names one.
const (
	EffectReplace = "replace" // part of the generation: a new one is started and proved
	EffectLive    = "live"    // done in place, through the same canary and batches
	EffectPolicy  = "policy"  // read at its next use; nothing is done
	EffectNone    = "none"    // names things
	EffectMixed   = "mixed"   // holds fields that say it themselves
	EffectHost    = "host"    // of the host's configuration: read when reconcile starts
)

// Field is one field of a kind, as the schema describes it.
type Field struct {
	// Path leads to the field; * stands for any key of a map and any entry of
	// a list: /spec/services/*/env/*.
	Path        string `json:"path"`
	Type        string `json:"type"` // text, a whole number, a map, … ("or" between several)
	Description string `json:"description"`
	Effect      string `json:"effect"`
	Default     string `json:"default,omitempty"`
	// Choices are the allowed values, where they are few.
	Choices []string `json:"choices,omitempty"`
	// Required fields have to be there whenever their parent is.
	Required bool `json:"required,omitempty"`
}

var described = sync.OnceValue(func() map[string][]Field {
	out := map[string][]Field{}
	for _, kind := range Kinds() {
		var fields []Field
		describe(schemas().docs[kind], "", &fields)
		out[kind] = fields
	}
	return out
})

// Describe lists every field of a kind in the order of the schema's names. It
// is empty for an unknown kind. The caller must not change it.
func Describe(kind string) []Field { return described()[kind] }

func describe(n node, path string, out *[]Field) {
	required := map[string]bool{}
	if list, ok := n["required"].([]any); ok {
		for _, name := range list {
			required[name.(string)] = true
		}
	}
	add := func(name string, child node) {
		child = schemas().resolve(child)
		p := path + "/" + name
		*out = append(*out, Field{
			Path: p, Type: typeOf(child), Description: child.text("description"), Effect: child.text("x-effect"),
			Default: defaultOf(child), Choices: fault{schema: child}.choices(), Required: required[name],
		})
		describe(child, p, out)
	}
	for _, name := range sortedKeys(n.properties()) {
		add(name, asNode(n.properties()[name]))
	}
	if values := asNode(n["additionalProperties"]); values != nil {
		add("*", values)
	}
	if items := asNode(n["items"]); items != nil {
		add("*", items)
	}
}

func typeOf(n node) string {
	if n.text("format") == "go-duration" {
		return "duration"
	}
	var words []string
	for _, t := range n.types() {
		words = append(words, typeWords[t])
	}
	return strings.Join(words, " or ")
}

func defaultOf(n node) string {
	d, ok := n["default"]
	if !ok {
		return ""
	}
	return fmt.Sprint(d)
}

// Effect says what a change of the field does. path is a JSON pointer into the
// document or, for plan documents, into its spec: "/spec/services/app/image" or
// "/services/app/image". It is "" for a field the kind does not have.
func Effect(kind, path string) string {
	n, keys := schemas().docs[kind], splitPointer(path)
	if n == nil || len(keys) == 0 {
		return ""
	}
	if n.properties()[keys[0]] == nil {
		n = schemas().child(n, "spec")
	}
	for _, k := range keys {
		if n = schemas().child(n, k); n == nil {
			return ""
		}
	}
	return n.text("x-effect")
}

// elsewhere returns the place of a kind, as people say it, where a field of this
// name belongs: the one nearest to the root, if there is only one so near.
func elsewhere(kind, name string) string {
	var best string
	var ties bool
	for _, f := range Describe(kind) {
		parent, ok := strings.CutSuffix(f.Path, "/"+name)
		if !ok || parent == "" {
			continue
		}
		switch depth, least := strings.Count(parent, "/"), strings.Count(best, "/"); {
		case best == "" || depth < least:
			best, ties = parent, false
		case depth == least:
			ties = true
		}
	}
	if ties {
		return ""
	}
	return DisplayPath(best)
}

// DisplayPath writes the path of a Field as people say it:
// spec.services.NAME.envFrom[].
func DisplayPath(path string) string {
	return strings.ReplaceAll(strings.ReplaceAll(strings.TrimPrefix(path, "/"), "/", "."), "*", "NAME")
}
