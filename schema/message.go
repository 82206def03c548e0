package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// say puts the fault into a sentence (which field, what was expected, what is
// there) and what to do about it.
func (f fault) say(kind string) (text, hint string) {
	name := fieldName(f.keys)
	switch f.keyword {
	case "additionalProperties":
		return f.sayUnknown(kind)
	case "required":
		last := f.keys[len(f.keys)-1]
		field := schemas().resolve(asNode(f.schema.properties()[last]))
		return fmt.Sprintf("%s has no %s", fieldName(f.keys[:len(f.keys)-1]), last), "add " + last + ": " + firstSentence(field.text("description"))
	case "type":
		return name + " must be " + f.wanted() + f.butIs(), f.otherForm()
	case "enum", "const":
		choices := f.choices()
		hint := f.schema.text("x-hint")
		if near := nearest(fmt.Sprint(f.value), choices); near != "" && hint == "" {
			hint = "did you mean " + near + "?"
		}
		if len(choices) == 1 {
			return fmt.Sprintf("%s must be %s%s", name, choices[0], f.butIs()), hint
		}
		return fmt.Sprintf("%s must be one of %s%s", name, strings.Join(choices, ", "), f.butIs()), hint
	case "minimum", "maximum", "exclusiveMinimum":
		return name + " must be " + f.wanted() + f.butIs(), ""
	case "minItems":
		return name + " is empty", "write at least one entry, or leave it out"
	case "uniqueItems":
		return name + " lists the same entry twice", "keep one of the two"
	case "pattern", "format", "minLength":
		if f.isKey {
			return fmt.Sprintf("%s has the key %s, which must be %s", fieldName(f.keys[:len(f.keys)-1]), aValue(f.value, f.raw), f.wanted()), ""
		}
		return name + " must be " + f.wanted() + f.butIs(), f.schema.text("x-hint")
	}
	return name + " is not as the format wants it (" + f.keyword + ")", "see reconcile schema " + kind
}

func (f fault) sayUnknown(kind string) (text, hint string) {
	in, name := f.keys[:len(f.keys)-1], f.keys[len(f.keys)-1]
	if later, ok := f.schema["x-later"].(map[string]any); ok {
		if why, ok := later[name].(string); ok {
			return fieldName(f.keys) + " is not honoured by this version: " + why, "remove it"
		}
	}
	text = fmt.Sprintf("%s has no field %q", fieldName(in), name)
	if len(in) == 0 {
		text = fmt.Sprintf("a %s has no field %q", kind, name)
		if kind == ConfigKind {
			text = fmt.Sprintf("the configuration has no field %q", name)
		}
	}
	if near := f.meant(); near != "" {
		return text, "did you mean " + near + "?"
	}
	if place := elsewhere(kind, name); place != "" {
		return text, name + " belongs in " + place
	}
	fields := sortedKeys(f.schema.properties())
	if len(fields) > 20 {
		return text, "reconcile schema " + kind + " prints what it has"
	}
	return text, "its fields are " + strings.Join(fields, ", ")
}

// meant returns the known field an unknown one is likely a slip for, or "".
func (f fault) meant() string {
	return knownAs(f.keys[len(f.keys)-1], sortedKeys(f.schema.properties()))
}

// wanted says what the schema expects, in words.
func (f fault) wanted() string {
	if x := f.schema.text("x-expected"); x != "" {
		return x
	}
	var words []string
	for _, t := range f.schema.types() {
		words = append(words, typeWords[t])
	}
	low, hasLow := f.schema["minimum"].(float64)
	high, hasHigh := f.schema["maximum"].(float64)
	above, hasAbove := f.schema["exclusiveMinimum"].(float64)
	what := strings.Join(words, " or ")
	switch {
	case hasLow && hasHigh:
		return fmt.Sprintf("%s from %v to %v", what, low, high)
	case hasLow:
		return fmt.Sprintf("%s of at least %v", what, low)
	case hasAbove:
		return fmt.Sprintf("%s above %v", what, above)
	}
	return what
}

var typeWords = map[string]string{
	"string": "text", "integer": "a whole number", "number": "a number",
	"boolean": "true or false", "object": "a map", "array": "a list", "null": "nothing",
}

// otherForm shows the value as the schema would take it, where that is plain.
func (f fault) otherForm() string {
	types := f.schema.types()
	wants := func(t string) bool { return slices.Contains(types, t) }
	switch v := f.value.(type) {
	case float64:
		switch {
		case f.schema.text("format") == "go-duration":
			return "write it with a unit: " + strconv.Quote(f.raw+"s")
		case wants("string"):
			return "write it in quotes: " + strconv.Quote(f.raw)
		}
	case bool:
		if wants("string") {
			return "write it in quotes: " + strconv.Quote(f.raw)
		}
	case string:
		plain, _, _ := scalar(v)
		_, isNumber := plain.(float64)
		_, isBool := plain.(bool)
		switch {
		case isNumber && (wants("integer") || wants("number")), isBool && wants("boolean"):
			return "write it without quotes: " + v
		case wants("array") && v != "" && !strings.ContainsAny(v, `"'\$`):
			return "write it as a list: [" + quoteAll(strings.Fields(v)) + "]"
		}
	case nil:
		return "write a value, or leave it out"
	}
	return ""
}

func quoteAll(words []string) string {
	for i, w := range words {
		words[i] = strconv.Quote(w)
	}
	return strings.Join(words, ", ")
}

func (f fault) choices() []string {
	var out []string
	if c, ok := f.schema["const"]; ok {
		return []string{fmt.Sprint(c)}
	}
	list, _ := f.schema["enum"].([]any)
	for _, v := range list {
		if v != nil {
			out = append(out, fmt.Sprint(v))
		}
	}
	return out
}

// butIs ends a sentence on what was expected with what is there.
func (f fault) butIs() string {
	if f.value == nil {
		return ", but has no value"
	}
	return ", not " + aValue(f.value, f.raw)
}

// aValue names a value in a sentence: the text "x", the number 8080, a list.
func aValue(v any, raw string) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		if v == "" {
			return "empty text"
		}
		return strconv.Quote(shorten(v))
	case float64:
		if raw == "" {
			raw = strconv.FormatFloat(v, 'g', -1, 64)
		}
		return "the number " + shorten(raw)
	case bool:
		return strconv.FormatBool(v)
	case []any:
		return "a list"
	}
	return "a map"
}

// shorten keeps a value from filling the screen.
func shorten(s string) string {
	const most = 80
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

func firstSentence(s string) string {
	if i := strings.Index(s, ". "); i >= 0 {
		return s[:i+1]
	}
	return s
}

func asNode(v any) node {
	m, _ := v.(map[string]any)
	return m
}
