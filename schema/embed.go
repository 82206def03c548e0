package schema

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
)

// BaseID is what every published $id starts with.
const BaseID = "https://github.com/gitops-fleet/reconcile/schema/"

// ConfigKind names the schema of the host configuration, which is no document
// of a plan repository.
const ConfigKind = "Config"

//go:embed *.schema.json
var schemaFiles embed.FS

// Kinds lists what has a schema: the kinds of plan documents in the order
// people meet them, then the host configuration.
func Kinds() []string {
	return append(documentKinds(), ConfigKind)
}

func documentKinds() []string {
	return []string{
		string(plans.KindFleet), string(plans.KindTemplate), string(plans.KindTenant),
		string(plans.KindBatchPolicy), string(plans.KindDecision),
	}
}

func schemaFile(name string) ([]byte, error) {
	return schemaFiles.ReadFile(name + ".schema.json")
}

// JSON returns the schema of a kind as one self-contained document: the shared
// definitions it needs are in its own $defs. It errs on an unknown kind.
func JSON(kind string) ([]byte, error) {
	if !slices.Contains(Kinds(), kind) {
		return nil, fmt.Errorf("schema %s: unknown kind; the kinds are %s", kind, strings.Join(Kinds(), ", "))
	}
	text, err := schemaFile(kind)
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", kind, err)
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("schema %s: %w", kind, err)
	}
	used := map[string]any{}
	inline(doc, used)
	if len(used) > 0 {
		doc["$defs"] = used
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return nil, fmt.Errorf("schema %s: %w", kind, err)
	}
	return out.Bytes(), nil
}

// inline makes every reference to a shared definition local and collects the
// definitions that are reached.
func inline(v any, used map[string]any) {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			name := strings.TrimPrefix(ref, "defs.schema.json#/$defs/")
			v["$ref"] = "#/$defs/" + name
			if _, seen := used[name]; !seen {
				def := copied(schemas().docs["defs"]["$defs"].(map[string]any)[name])
				used[name] = def
				inline(def, used)
			}
		}
		for _, child := range v {
			inline(child, used)
		}
	case []any:
		for _, child := range v {
			inline(child, used)
		}
	}
}

func copied(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, child := range v {
			out[k] = copied(child)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, child := range v {
			out[i] = copied(child)
		}
		return out
	}
	return v
}
