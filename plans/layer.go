package plans

import (
	"strings"
)

// layer is one document's part in a merge, lowest first. prefix is where in
// the document's spec its fields are ("/defaults", "/slots/green").
type layer struct {
	name   string // fleet, template, tenant, slots.green
	doc    *Document
	prefix string
	raw    map[string]any // in long form
}

// where returns the place of path in the layer's document.
func (l layer) where(path string) Pos {
	if l.doc.Where == nil {
		return l.doc.At
	}
	if service, ok := strings.CutSuffix(path, "/ports/http"); ok && l.has(path) {
		// Perhaps written as `port`.
		if short, _ := lookup(l.doc.Spec, l.prefix+service+"/port"); short {
			path = service + "/port"
		}
	}
	return l.doc.Where(l.prefix + path)
}

func (l layer) has(path string) bool {
	found, _ := lookup(l.raw, path)
	return found
}

// owner returns the layer a field comes from: the topmost one that has it, or
// that has the longest part of its path where none does.
func owner(layers []layer, path string) layer {
	best, deepest := len(layers)-1, -1
	for i := len(layers) - 1; i >= 0; i-- {
		found, depth := lookup(layers[i].raw, path)
		if found {
			return layers[i]
		}
		if depth > deepest {
			best, deepest = i, depth
		}
	}
	return layers[best]
}

// lookup walks path down from root. depth is how many steps it could go.
func lookup(root map[string]any, path string) (found bool, depth int) {
	var at any = root
	for token := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		m, ok := at.(map[string]any)
		if !ok {
			return false, depth
		}
		next, ok := m[unescape(token)]
		if !ok {
			return false, depth
		}
		at = next
		depth++
	}
	return true, depth
}
