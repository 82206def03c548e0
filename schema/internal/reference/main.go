// Command reference writes docs/plan-reference.md from the published schemas.
package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/gitops-fleet/reconcile/schema"
)

//go:embed intro.md
var intro string

func main() {
	out := flag.String("o", "", "file to write; without it standard output")
	flag.Parse()
	page, err := render()
	if err == nil && *out == "" {
		_, err = os.Stdout.Write(page)
	} else if err == nil {
		err = os.WriteFile(*out, page, 0o644)
	}
	if err != nil {
		log.Fatalf("reference: %v", err)
	}
}

// render returns the whole page: the introduction, one section a kind, and one
// for each part that several kinds share.
func render() ([]byte, error) {
	w := &writer{shared: map[string]object{}}
	w.WriteString("<!-- Generated from schema/*.schema.json by go generate ./schema. -->\n\n")
	w.WriteString(intro)
	w.WriteString("\n## Kinds\n")
	for _, kind := range schema.Kinds() {
		text, err := schema.JSON(kind)
		if err != nil {
			return nil, err
		}
		var doc object
		if err := json.Unmarshal(text, &doc); err != nil {
			return nil, err
		}
		defs, _ := doc["$defs"].(map[string]any)
		for name, def := range defs {
			w.shared[name] = def.(map[string]any)
		}
		name := kind
		if kind == schema.ConfigKind {
			name = "The host's configuration"
		}
		w.section("###", name, "", doc)
	}
	w.WriteString("\n## Shared parts\n")
	for _, name := range slices.Sorted(maps.Keys(w.shared)) {
		if target := w.shared[name]; isMap(target) {
			w.section("###", name, "", target)
		}
	}
	return w.Bytes(), nil
}

type object map[string]any

type writer struct {
	bytes.Buffer
	shared map[string]object
}

// section describes one map: its fields in a table, then the maps inside it.
func (w *writer) section(level, title, path string, o object) {
	fmt.Fprintf(w, "\n%s %s\n\n%s\n", level, title, o.text("description"))
	rows := w.rows(path, o)
	if len(rows) == 0 {
		return
	}
	w.WriteString("\n| field | takes | default | a change | |\n|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(w, "| `%s` | %s | %s | %s | %s |\n", r.path, r.takes, r.preset, r.effect, strings.ReplaceAll(r.about, "|", `\|`))
	}
}

type row struct{ path, takes, preset, effect, about string }

func (w *writer) rows(path string, o object) []row {
	var out []row
	required := map[string]bool{}
	if list, ok := o["required"].([]any); ok {
		for _, name := range list {
			required[name.(string)] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.object("properties"))) {
		out = append(out, w.field(join(path, name), required[name], o.object("properties").object(name))...)
	}
	if each := o.object("additionalProperties"); each != nil {
		out = append(out, w.field(join(path, "NAME"), false, each)...)
	}
	if each := o.object("items"); each != nil {
		out = append(out, w.field(path+"[]", false, each)...)
	}
	return out
}

func (w *writer) field(path string, required bool, o object) []row {
	link, ref := "", o.text("$ref")
	if ref != "" {
		name := strings.TrimPrefix(ref, "#/$defs/")
		o = w.shared[name]
		if isMap(o) {
			link = " ([" + name + "](#" + strings.ToLower(name) + "))"
		}
	}
	r := row{path: path, takes: takes(o), effect: o.text("x-effect"), about: o.text("description") + link}
	if r.effect == schema.EffectMixed || r.effect == schema.EffectHost {
		r.effect = ""
	}
	if required {
		r.takes += ", required"
	}
	if d, ok := o["default"]; ok {
		r.preset = fmt.Sprintf("`%v`", d)
	}
	out := []row{r}
	if link == "" {
		out = append(out, w.rows(path, o)...)
	}
	return out
}

// takes says what a value may be: its choices, or its type.
func takes(o object) string {
	var words []string
	if c, ok := o["const"]; ok {
		return fmt.Sprintf("`%v`", c)
	}
	if list, ok := o["enum"].([]any); ok {
		for _, v := range list {
			if v != nil {
				words = append(words, fmt.Sprintf("`%v`", v))
			}
		}
		return strings.Join(words, ", ")
	}
	if o.text("format") == "go-duration" {
		return "duration"
	}
	types, ok := o["type"].([]any)
	if !ok {
		types = []any{o["type"]}
	}
	for _, t := range types {
		if word := map[any]string{"string": "text", "integer": "whole number", "number": "number",
			"boolean": "true, false", "object": "map", "array": "list"}[t]; word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, " or ")
}

// isMap says that a shared part is worth a section of its own: a map, or a map
// of them.
func isMap(o object) bool {
	return o.object("properties") != nil || o.object("additionalProperties") != nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (o object) text(key string) string {
	t, _ := o[key].(string)
	return t
}

func (o object) object(key string) object {
	m, ok := o[key].(map[string]any)
	if !ok {
		return nil
	}
	return m
}
