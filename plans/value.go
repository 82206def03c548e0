package plans

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// place is a field's path, built only if somebody asks.
type place struct {
	up  *place
	key string
}

// root is the place of a spec itself.
var root *place

func (p *place) at(key string) *place { return &place{up: p, key: key} }

// under returns the place below p that a JSON pointer leads to.
func (p *place) under(path string) *place {
	for token := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		p = p.at(unescape(token))
	}
	return p
}

func (p *place) index(i int) *place { return p.at(fmt.Sprint(i)) }

func (p *place) String() string {
	if p == nil {
		return ""
	}
	return p.up.String() + "/" + escape(p.key)
}

// reader turns JSON values into typed ones. The schema has seen each document;
// what is wrong here came of merging, or of documents made without it.
type reader struct {
	wrong func(p *place, text, hint string)
}

func (r reader) not(p *place, v any, want string) {
	r.wrong(p, fmt.Sprintf("expected %s, found %s", want, kindOf(v)), "")
}

func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		return fmt.Sprintf("the text %q", clip(v))
	case bool:
		return fmt.Sprint(v)
	case map[string]any:
		return "a map"
	case []any:
		return "a list"
	default:
		return fmt.Sprintf("the number %v", v)
	}
}

func (r reader) text(p *place, v any) string {
	s, ok := v.(string)
	if !ok && v != nil {
		r.not(p, v, "text")
	}
	return s
}

// choice reads one of several words. unless is the default and read as "".
func (r reader) choice(p *place, v any, unless string, words ...string) string {
	s := r.text(p, v)
	if s == "" || s == unless {
		return ""
	}
	if !slices.Contains(words, s) {
		if unless != "" {
			words = append([]string{unless}, words...)
		}
		r.wrong(p, fmt.Sprintf("%q is none of %s", s, list(words)), "")
		return ""
	}
	return s
}

func (r reader) truth(p *place, v any) bool {
	b, ok := v.(bool)
	if !ok && v != nil {
		r.not(p, v, "true or false")
	}
	return b
}

func (r reader) float(p *place, v any) float64 {
	switch n := v.(type) {
	case nil:
	case float64:
		return n
	case int:
		return float64(n)
	default:
		r.not(p, v, "a number")
	}
	return 0
}

func (r reader) integer(p *place, v any) int {
	n := r.float(p, v)
	if n != math.Trunc(n) || math.Abs(n) > 1<<53 {
		r.not(p, v, "a whole number")
		return 0
	}
	return int(n)
}

func (r reader) duration(p *place, v any, unset Duration) Duration {
	if v == nil {
		return unset
	}
	s, ok := v.(string)
	if !ok {
		r.not(p, v, `a duration such as "30s"`)
		return unset
	}
	d, err := ParseDuration(s)
	if err != nil {
		r.wrong(p, err.Error(), "")
		return unset
	}
	return d
}

func (r reader) time(p *place, v any) time.Time {
	s := r.text(p, v)
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		r.wrong(p, fmt.Sprintf("%q is not a time; write it like \"2030-01-31T08:00:00Z\"", s), "")
	}
	return t.UTC()
}

func (r reader) object(p *place, v any) map[string]any {
	m, ok := v.(map[string]any)
	if !ok && v != nil {
		r.not(p, v, "a map")
	}
	return m
}

func (r reader) items(p *place, v any) []any {
	l, ok := v.([]any)
	if !ok && v != nil {
		r.not(p, v, "a list")
	}
	return l
}

func (r reader) texts(p *place, v any) []string {
	l := r.items(p, v)
	if len(l) == 0 {
		return nil
	}
	out := make([]string, len(l))
	for i, e := range l {
		s, ok := e.(string)
		if !ok {
			r.not(p.index(i), e, "text")
		}
		out[i] = s
	}
	return out
}

// table reads an object whose values are all alike. Values that are null, as
// a slot's patch may hold, are left out.
func table[V any](r reader, p *place, v any, read func(*place, any) V) map[string]V {
	m := r.object(p, v)
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]V, len(m))
	for k, e := range Sorted(m) {
		if e != nil {
			out[k] = read(p.at(k), e)
		}
	}
	return out
}
