package plans

import (
	"encoding/json"
	"maps"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// TestMergeRFC7386 is the table of the RFC's appendix A.
func TestMergeRFC7386(t *testing.T) {
	for _, c := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		base, patch, want := value(t, c[0]), value(t, c[1]), value(t, c[2])
		if got := Merge(base, patch); !reflect.DeepEqual(got, want) {
			t.Errorf("Merge(%s, %s) = %v, want %s", c[0], c[1], got, c[2])
		}
	}
}

func value(t testing.TB, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// object draws a JSON object with few keys, so that two of them often meet.
func object(nulls bool) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any { return drawObject(t, nulls, 3) })
}

func drawObject(t *rapid.T, nulls bool, depth int) map[string]any {
	m := map[string]any{}
	for _, k := range rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3).Draw(t, "keys") {
		switch n := rapid.IntRange(0, 4).Draw(t, "kind"); {
		case n == 0 && nulls:
			m[k] = nil
		case n <= 1:
			m[k] = rapid.String().Draw(t, "text")
		case n == 2:
			m[k] = []any{rapid.Float64Range(0, 9).Draw(t, "number"), nil}
		case depth > 0:
			m[k] = drawObject(t, nulls, depth-1)
		default:
			m[k] = true
		}
	}
	return m
}

func TestMergeIdentities(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, p, q := object(false).Draw(t, "base"), object(true).Draw(t, "p"), object(true).Draw(t, "q")
		before := copied(base)
		once := Merge(base, p)
		if !reflect.DeepEqual(Merge(once, p), once) {
			t.Fatal("a patch applied twice is another thing than once")
		}
		if !reflect.DeepEqual(Merge(base, map[string]any{}), any(base)) {
			t.Fatal("an empty patch changes something")
		}
		if !reflect.DeepEqual(Merge(map[string]any{}, base), any(base)) || !reflect.DeepEqual(Merge(base, base), any(base)) {
			t.Fatal("a value without null is a patch that leads to itself")
		}
		if !reflect.DeepEqual(base, before) {
			t.Fatal("the base was changed")
		}
		if got := Merge(base, compose(p, q)); !reflect.DeepEqual(got, Merge(Merge(base, p), q)) {
			// Composing loses one thing, as RFC 7386 has no word for it: an
			// object that replaces what a null removed merges with it instead.
			if !revives(p, q) {
				t.Fatalf("composed %v, one after the other %v", got, Merge(Merge(base, p), q))
			}
		}
	})
}

// revives says that q sets an object where p says null or something that is no object.
func revives(p, q map[string]any) bool {
	for k, v := range q {
		object, ok := v.(map[string]any)
		old, had := p[k]
		if !ok || !had {
			continue
		}
		under, ok := old.(map[string]any)
		if !ok || revives(under, object) {
			return true
		}
	}
	return false
}

func copied(m map[string]any) map[string]any {
	out := maps.Clone(m)
	for k, v := range out {
		if inner, ok := v.(map[string]any); ok {
			out[k] = copied(inner)
		}
	}
	return out
}

// FuzzMerge holds any two JSON values to the identities that always hold.
func FuzzMerge(f *testing.F) {
	for _, c := range [][2]string{
		{`{"a":{"b":1}}`, `{"a":{"b":null}}`}, {`[1]`, `{"a":null}`}, {`null`, `{}`}, {`{"a":1}`, `{"a":{"b":{"c":null}}}`},
	} {
		f.Add(c[0], c[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		var base, patch any
		if json.Unmarshal([]byte(a), &base) != nil || json.Unmarshal([]byte(b), &patch) != nil {
			t.Skip()
		}
		before, _ := json.Marshal(base)
		once := Merge(base, patch)
		if twice := Merge(once, patch); !reflect.DeepEqual(once, twice) {
			t.Errorf("once %v, twice %v", once, twice)
		}
		if p, ok := patch.(map[string]any); ok {
			if b, object := base.(map[string]any); object && len(p) == 0 && !reflect.DeepEqual(once, any(b)) {
				t.Errorf("an empty patch made %v of %v", once, base)
			}
			for k, v := range p {
				if _, there := once.(map[string]any)[k]; there == (v == nil) {
					t.Errorf("key %q: patch %v, result has it: %v", k, v, there)
				}
			}
		}
		if after, _ := json.Marshal(base); string(after) != string(before) {
			t.Errorf("the base was changed from %s to %s", before, after)
		}
	})
}

// FuzzResolve resolves any spec at all: a plan or problems, and the same again.
func FuzzResolve(f *testing.F) {
	f.Add(`{"services":{"app":{"image":"a@sha256:","port":80,"mounts":{"/d":"x"}}}}`, `{"template":"t","routes":{"r":{"hosts":["{{tenant}}.x"]}}}`)
	f.Add(`{"slots":{"blue":{"services":{"app":null},"ports":{"app/http":1}}}}`, `{"template":"t","activeSlot":"blue","services":{"app":{}}}`)
	f.Add(`{"services":null,"volumes":{"v":[]}}`, `{"removed":true,"hold":{"until":1}}`)
	f.Add(`{"services":{"a":{"after":["b"]},"b":{"after":["a"],"files":{"/f":{"from":"x"}},"health":{"exec":{"command":["{{{{"]}}}}}`, `{"template":"t"}`)
	f.Fuzz(func(t *testing.T, template, tenant string) {
		var a, b map[string]any
		if json.Unmarshal([]byte(template), &a) != nil || json.Unmarshal([]byte(tenant), &b) != nil {
			t.Skip()
		}
		docs := []Document{
			{Kind: KindFleet, Name: "f", Spec: map[string]any{"defaults": a}},
			{Kind: KindTemplate, Name: "t", Spec: a}, {Kind: KindTenant, Name: "x", Spec: b},
		}
		plan, problems := Resolve(docs, Options{})
		again, same := Resolve(docs, Options{})
		if (plan == nil) != (len(problems) > 0) || !reflect.DeepEqual(plan, again) || !reflect.DeepEqual(problems, same) {
			t.Fatalf("%v %v\n%v %v", plan, problems, again, same)
		}
		if plan != nil {
			plan.Tenants[0].Target()
		}
		Explain(docs, "x", Options{})
	})
}
