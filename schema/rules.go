package schema

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/gitops-fleet/reconcile/plans"
)

// rules holds what a schema without alternatives cannot say about one document.
func rules(kind string, p part, root *yaml.Node, doc map[string]any) []plans.Problem {
	var out []plans.Problem
	say := func(keys []string, text, hint string) {
		line, column := place(root, keys)
		out = append(out, plans.Problem{Pos: p.pos(line, column), Path: joinPointer(keys), Text: text, Hint: hint})
	}
	if kind == ConfigKind {
		configRules(doc, say)
		return out
	}
	serviceRules(doc, say)
	return out
}

// serviceRules checks the pairs of fields of a service that exclude each other.
func serviceRules(doc map[string]any, say func(keys []string, text, hint string)) {
	for _, at := range [][]string{
		{"spec", "services"},
		{"spec", "defaults", "services"},
		{"spec", "slots", "blue", "services"},
		{"spec", "slots", "green", "services"},
		{"spec", "defaults", "slots", "blue", "services"},
		{"spec", "defaults", "slots", "green", "services"},
	} {
		services, _ := lookup(doc, at).(map[string]any)
		for _, name := range sortedKeys(services) {
			service, _ := services[name].(map[string]any)
			keys := append(slices.Clip(at), name)
			if ports, _ := service["ports"].(map[string]any); service["port"] != nil && ports["http"] != nil {
				say(append(slices.Clip(keys), "port"), fieldName(keys)+" has both port and ports.http", "keep one: port: N is short for ports: {http: N}")
			}
			capabilities, _ := service["capabilities"].([]any)
			for i, c := range capabilities {
				if text, _ := c.(string); strings.HasPrefix(text, "CAP_") {
					k := append(slices.Clip(keys), "capabilities", strconv.Itoa(i))
					say(k, fieldName(k)+" has CAP_ before its name", "write "+strings.TrimPrefix(text, "CAP_"))
				}
			}
			files, _ := service["files"].(map[string]any)
			for _, path := range sortedKeys(files) {
				if f, _ := files[path].(map[string]any); f["from"] != nil && f["text"] != nil {
					k := append(slices.Clip(keys), "files", path)
					say(k, fieldName(k)+" has both from and text", "keep one: from names a file of the repository, text is the content itself")
				}
			}
		}
	}
}

// configRules checks what the schema of the host configuration cannot say.
func configRules(doc map[string]any, say func(keys []string, text, hint string)) {
	if text, ok := doc["ports"].(string); ok {
		if _, _, err := parsePorts(text); err != nil {
			say([]string{"ports"}, "ports "+err.Error(), `write it like "20000-29999"`)
		}
	}
}

// parsePorts reads a range of ports such as 20000-29999.
func parsePorts(text string) (first, last int, err error) {
	a, b, ok := strings.Cut(text, "-")
	first, err1 := strconv.Atoi(a)
	last, err2 := strconv.Atoi(b)
	switch {
	case !ok || err1 != nil || err2 != nil:
		return 0, 0, nil // the pattern of the schema says so
	case first < 1 || last > 65535:
		return 0, 0, fmt.Errorf("must be from 1 to 65535, not %q", text)
	case first > last:
		return 0, 0, fmt.Errorf("has its last port before its first: %q", text)
	}
	return first, last, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
