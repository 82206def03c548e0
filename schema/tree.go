package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/gitops-fleet/reconcile/plans"
)

// set holds every embedded schema twice: compiled for validating, and as plain
// JSON for everything that is said about a field.
type set struct {
	compiled map[string]*jsonschema.Schema // by kind
	docs     map[string]node               // by file, without .schema.json
}

// node is one schema: the value of a property, an items, a $defs entry.
type node map[string]any

// schemas compiles the embedded schemas once. They are part of the program and
// tested, so one that does not compile is a bug and panics.
var schemas = sync.OnceValue(func() *set {
	s := &set{compiled: map[string]*jsonschema.Schema{}, docs: map[string]node{}}
	c := jsonschema.NewCompiler()
	c.Draft = jsonschema.Draft2020
	c.AssertFormat = true
	c.Formats = map[string]func(any) bool{"go-duration": isDuration, "time-zone": isZone}
	for _, name := range append(Kinds(), "defs") {
		text, err := schemaFile(name)
		if err != nil {
			panic(fmt.Sprintf("embedded schema %s: %v", name, err))
		}
		var doc node
		if err := json.Unmarshal(text, &doc); err != nil {
			panic(fmt.Sprintf("embedded schema %s: %v", name, err))
		}
		s.docs[name] = doc
		if err := c.AddResource(BaseID+name+".schema.json", bytes.NewReader(text)); err != nil {
			panic(fmt.Sprintf("embedded schema %s: %v", name, err))
		}
	}
	for _, kind := range Kinds() {
		s.compiled[kind] = c.MustCompile(BaseID + kind + ".schema.json")
	}
	return s
})

func isDuration(v any) bool {
	text, ok := v.(string)
	if !ok {
		return true
	}
	_, err := plans.ParseDuration(text)
	return err == nil
}

// at returns the schema an absolute location names, such as
// https://…/defs.schema.json#/$defs/service/properties/env.
func (s *set) at(location string) node {
	file, pointer, _ := strings.Cut(location, "#")
	name := strings.TrimSuffix(strings.TrimPrefix(file, BaseID), ".schema.json")
	var v any = map[string]any(s.docs[name])
	for _, key := range splitPointer(pointer) {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	m, _ := v.(map[string]any)
	return m
}

// resolve follows a $ref to a shared definition.
func (s *set) resolve(n node) node {
	if ref, ok := n["$ref"].(string); ok {
		return s.at(BaseID + ref)
	}
	return n
}

// child returns the schema of one member of n, by the name of a field, any key
// of a free map, or an index. It is nil where n has no such member.
func (s *set) child(n node, key string) node {
	n = s.resolve(n)
	if p, ok := n.properties()[key].(map[string]any); ok {
		return s.resolve(p)
	}
	if p, ok := n["additionalProperties"].(map[string]any); ok {
		return s.resolve(p)
	}
	if p, ok := n["items"].(map[string]any); ok {
		return s.resolve(p)
	}
	return nil
}

func (n node) properties() map[string]any {
	p, _ := n["properties"].(map[string]any)
	return p
}

func (n node) text(key string) string {
	t, _ := n[key].(string)
	return t
}

// types returns the JSON types the schema allows, without null, which in a plan
// means "remove" and is nothing to advise.
func (n node) types() []string {
	var out []string
	switch t := n["type"].(type) {
	case string:
		out = append(out, t)
	case []any:
		for _, v := range t {
			out = append(out, v.(string))
		}
	}
	return slices.DeleteFunc(out, func(t string) bool { return t == "null" })
}

// splitPointer returns the keys of a JSON pointer as jsonschema writes them,
// which is with URL escapes on top.
func splitPointer(pointer string) []string {
	if pointer == "" || pointer == "/" {
		return nil
	}
	keys := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, k := range keys {
		if u, err := url.PathUnescape(k); err == nil {
			k = u
		}
		keys[i] = unescapeKey(k)
	}
	return keys
}

var (
	keyUnescaper = strings.NewReplacer("~1", "/", "~0", "~")
	keyEscaper   = strings.NewReplacer("~", "~0", "/", "~1")
)

func unescapeKey(k string) string { return keyUnescaper.Replace(k) }

// joinPointer writes a JSON pointer (RFC 6901).
func joinPointer(keys []string) string {
	var b strings.Builder
	for _, k := range keys {
		b.WriteByte('/')
		b.WriteString(keyEscaper.Replace(k))
	}
	return b.String()
}
