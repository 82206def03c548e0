package schema

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/gitops-fleet/reconcile/plans"
)

// Limits of one file and document. They are far above what people write and
// keep a hostile or broken file from taking the reconciler's memory.
const (
	MaxFileSize = 8 << 20 // bytes of one YAML file
	MaxDepth    = 40      // levels of maps and lists; the deepest field of the format is at 9
	MaxValues   = 200_000 // values of one document after its aliases are expanded

	maxProblems     = 50  // of one document
	maxFileProblems = 200 // of one file, after which the rest is not read
)

// reader turns the YAML nodes of one document into JSON values and notes what
// is wrong on the way. After a problem it goes on with a stand-in, so that all
// problems of a document are found at once.
type reader struct {
	part     part
	path     []string // where we are
	problems []plans.Problem
	bad      map[string]bool // pointers with a problem; nothing more is said about them
	values   int
	open     []*yaml.Node // anchors being expanded
	full     bool         // a limit was passed; stop
}

func (r *reader) problem(n *yaml.Node, text, hint string) {
	if r.bad == nil {
		r.bad = map[string]bool{}
	}
	r.bad[joinPointer(r.path)] = true
	r.problems = append(r.problems, plans.Problem{
		Pos: r.part.pos(n.Line, n.Column), Path: joinPointer(r.path), Text: text, Hint: hint,
	})
}

// parseNode reads one document into YAML nodes.
func parseNode(p part) (n *yaml.Node, err error) {
	// The YAML package promises errors, but its scanner indexes buffers by
	// hand; a text that breaks it is a bad plan, not the end of the agent.
	defer func() {
		if r := recover(); r != nil {
			n, err = nil, fmt.Errorf("yaml: %v", r)
		}
	}()
	dec := yaml.NewDecoder(strings.NewReader(p.text))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	// What follows the first value would be left out silently.
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		if err == nil {
			err = errors.New("yaml: more than one value")
		}
		return nil, err
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, errors.New("yaml: no value")
	}
	return doc.Content[0], nil
}

// value returns the JSON value of n.
func (r *reader) value(n *yaml.Node) any {
	r.values++
	switch {
	case r.full:
		return nil
	case r.values > MaxValues:
		r.full = true
		r.problem(n, fmt.Sprintf("the document holds more than %d values, counting each use of an alias", MaxValues), "split it, or use fewer aliases")
		return nil
	case len(r.path) > MaxDepth:
		r.full = true
		r.problem(n, fmt.Sprintf("the document is nested deeper than %d levels", MaxDepth), "no field of a plan is that deep; compare with docs/plan-reference.md")
		return nil
	}
	if n.Kind != yaml.AliasNode && n.Style&yaml.TaggedStyle != 0 {
		return r.tagged(n)
	}
	switch n.Kind {
	case yaml.MappingNode:
		return r.mapping(n)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, c := range n.Content {
			list[i] = r.member(strconv.Itoa(i), c)
		}
		return list
	case yaml.AliasNode:
		return r.alias(n)
	}
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return n.Value
	}
	v, why, hint := scalar(n.Value)
	if why != "" {
		r.problem(n, fieldName(r.path)+": "+why, hint)
	}
	return v
}

func (r *reader) member(key string, n *yaml.Node) any {
	r.path = append(r.path, key)
	v := r.value(n)
	r.path = r.path[:len(r.path)-1]
	return v
}

func (r *reader) mapping(n *yaml.Node) any {
	m := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		name, ok := r.key(k)
		if !ok {
			continue
		}
		if _, twice := m[name]; twice {
			first := r.part.line + firstKey(n, name).Line
			r.path = append(r.path, name)
			r.problem(k, fmt.Sprintf("%s is written twice; the first time in line %d", fieldName(r.path), first), "keep one of the two")
			r.path = r.path[:len(r.path)-1]
			continue
		}
		m[name] = r.member(name, n.Content[i+1])
	}
	return m
}

func firstKey(n *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Kind == yaml.ScalarNode && n.Content[i].Value == name {
			return n.Content[i]
		}
	}
	return n
}

// key returns the text of a key. Only text is one: a number or true as a key
// would be another key to another reader.
func (r *reader) key(k *yaml.Node) (string, bool) {
	in := fieldName(r.path)
	switch {
	case k.Kind == yaml.MappingNode && k.Style&yaml.FlowStyle != 0:
		r.problem(k, in+" starts with {{ and is not in quotes, which makes it a map", `write it in quotes, such as "{{tenant}}"`)
		return "", false
	case k.Kind != yaml.ScalarNode:
		r.problem(k, "a key in "+in+" is not text", "write each key as plain text")
		return "", false
	case k.Style&yaml.TaggedStyle != 0 && k.ShortTag() != "!!str":
		r.problem(k, fmt.Sprintf("a key in %s has the tag %s, which is not supported", in, k.Tag), "remove the tag")
		return "", false
	case k.Style != 0:
		return k.Value, true
	case k.Value == "<<":
		r.problem(k, in+" uses a merge key (<<), which is not supported",
			"write the fields out; what tenants have in common belongs in a Template")
		return "", false
	}
	v, why, _ := scalar(k.Value)
	if why != "" {
		r.problem(k, fmt.Sprintf("a key in %s: %s", in, why), "write "+strconv.Quote(k.Value))
		return k.Value, true
	}
	if _, ok := v.(string); !ok {
		r.problem(k, fmt.Sprintf("the key %s in %s is not text", orNothing(k.Value), in), "write "+strconv.Quote(k.Value))
		return k.Value, true
	}
	return k.Value, true
}

func orNothing(text string) string {
	if text == "" {
		return "(nothing)"
	}
	return text
}

func (r *reader) alias(n *yaml.Node) any {
	if slices.Contains(r.open, n.Alias) {
		r.full = true
		r.problem(n, fmt.Sprintf("the alias *%s stands inside what it stands for", n.Value), "write the value out")
		return nil
	}
	r.open = append(r.open, n.Alias)
	v := r.value(n.Alias)
	r.open = r.open[:len(r.open)-1]
	return v
}

func (r *reader) tagged(n *yaml.Node) any {
	plain := *n
	plain.Style &^= yaml.TaggedStyle
	switch tag := n.ShortTag(); {
	case tag == "!!str" && n.Kind == yaml.ScalarNode:
		return n.Value
	case tag == "!!map" && n.Kind == yaml.MappingNode, tag == "!!seq" && n.Kind == yaml.SequenceNode:
	default:
		r.problem(n, fmt.Sprintf("%s has the tag %s, which is not supported", fieldName(r.path), n.Tag), "remove the tag; text is written in quotes")
	}
	r.values--
	return r.value(&plain)
}
