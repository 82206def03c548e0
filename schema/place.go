package schema

import (
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/gitops-fleet/reconcile/plans"
)

// find walks from n along keys as far as it gets and returns the last value
// and its key (nil at the root and in a list). ok says that it got to the end.
func find(n *yaml.Node, keys []string) (value, key *yaml.Node, ok bool) {
	value = n
	for _, k := range keys {
		next, nextKey := step(value, k)
		if next == nil {
			return value, key, false
		}
		value, key = next, nextKey
	}
	return deref(value), key, true
}

func deref(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func step(n *yaml.Node, key string) (value, keyNode *yaml.Node) {
	n = deref(n)
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return n.Content[i+1], n.Content[i]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i], nil
		}
	}
	return nil, nil
}

// place returns where the field is: its key, or the item itself in a list, or
// the nearest parent that is written in the file.
func place(root *yaml.Node, keys []string) (line, column int) {
	value, key, _ := find(root, keys)
	if key != nil {
		return key.Line, key.Column
	}
	return value.Line, value.Column
}

// where is the Where of a loaded document. It reads the document's text again
// on each call: places are asked for when something is wrong, and keeping a
// tree for each of 10,000 documents would cost more than the plans themselves.
func (p part) where(path string) plans.Pos {
	root, err := parseNode(p)
	if err != nil {
		return p.pos(1, 1)
	}
	spec, key := step(root, "spec")
	at := root
	switch {
	case path == "/apiVersion" || path == "/kind" || path == "/metadata" || strings.HasPrefix(path, "/metadata/"):
	case path == "/spec" || strings.HasPrefix(path, "/spec/"):
	case spec == nil:
	default:
		at = spec
		if path == "" || path == "/" {
			return p.pos(key.Line, key.Column)
		}
	}
	keys := rawKeys(at, strings.TrimPrefix(path, "/"))
	line, column := place(at, keys)
	if len(keys) == 0 && at == spec {
		line, column = key.Line, key.Column
	}
	return p.pos(line, column)
}

// rawKeys splits a path by the keys that are really there, longest first, so
// that both "/mounts/~1srv" and "/mounts//srv" find the key "/srv".
func rawKeys(n *yaml.Node, path string) []string {
	var keys []string
	for path != "" {
		n = deref(n)
		best, rest := "", ""
		var next *yaml.Node
		try := func(name string, value *yaml.Node) {
			for _, form := range [2]string{name, keyEscaper.Replace(name)} {
				tail, ok := strings.CutPrefix(path, form)
				if ok && (tail == "" || tail[0] == '/') && (next == nil || len(name) > len(best)) {
					best, rest, next = name, strings.TrimPrefix(tail, "/"), value
				}
			}
		}
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				try(n.Content[i].Value, n.Content[i+1])
			}
		case yaml.SequenceNode:
			for i, c := range n.Content {
				try(strconv.Itoa(i), c)
			}
		}
		if next == nil {
			return keys
		}
		keys, path, n = append(keys, best), rest, next
	}
	return keys
}

// fieldName writes a path as people say it: spec.services.app.command[0],
// spec.services.app.mounts["/srv/data"].
func fieldName(keys []string) string {
	if len(keys) == 0 {
		return "the document"
	}
	var b strings.Builder
	for i, k := range keys {
		switch {
		case isIndex(k) && i > 0:
			b.WriteString("[" + k + "]")
		case k == "" || strings.ContainsAny(k, "./ \t\n\"[]"):
			b.WriteString("[" + strconv.Quote(k) + "]")
		default:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(k)
		}
	}
	return b.String()
}

func isIndex(k string) bool {
	n, err := strconv.Atoi(k)
	return err == nil && n >= 0 && strconv.Itoa(n) == k
}
