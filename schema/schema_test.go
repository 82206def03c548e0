package schema_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/schema"
)

type object = map[string]any

func load(t *testing.T, kind string) object {
	t.Helper()
	text, err := schema.JSON(kind)
	if err != nil {
		t.Fatal(err)
	}
	var doc object
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// walk calls f for every schema in the document: properties, free maps, lists
// and shared definitions.
func walk(path string, n object, f func(path string, n object)) {
	f(path, n)
	for _, group := range []string{"properties", "$defs"} {
		members, _ := n[group].(object)
		for name, m := range members {
			walk(path+"/"+name, m.(object), f)
		}
	}
	for _, one := range []string{"additionalProperties", "items"} {
		if m, ok := n[one].(object); ok {
			walk(path+"/*", m, f)
		}
	}
}

func TestEveryFieldIsDescribed(t *testing.T) {
	effects := []string{schema.EffectReplace, schema.EffectLive, schema.EffectPolicy, schema.EffectNone, schema.EffectMixed, schema.EffectHost}
	for _, kind := range schema.Kinds() {
		walk(kind, load(t, kind), func(path string, n object) {
			if n["$ref"] != nil {
				return // described where it leads
			}
			if d, _ := n["description"].(string); len(d) < 8 || !strings.HasSuffix(d, ".") {
				t.Errorf("%s: description is no sentence: %q", path, d)
			}
			effect, _ := n["x-effect"].(string)
			if !slices.Contains(effects, effect) {
				t.Errorf("%s: x-effect is %q", path, effect)
			}
			if (effect == schema.EffectHost) != (kind == schema.ConfigKind) {
				t.Errorf("%s: x-effect is %q", path, effect)
			}
		})
		for _, f := range schema.Describe(kind) {
			if f.Type == "" || f.Description == "" || f.Effect == "" {
				t.Errorf("%s: described as %+v", kind, f)
			}
		}
	}
}

func TestSchemasHaveNoAlternatives(t *testing.T) {
	for _, kind := range schema.Kinds() {
		text, err := schema.JSON(kind)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{`"oneOf"`, `"anyOf"`, `"allOf"`, `"not"`, `"if"`} {
			if strings.Contains(string(text), word) {
				t.Errorf("%s uses %s, whose errors cannot be told in a sentence", kind, word)
			}
		}
		walk(kind, load(t, kind), func(path string, n object) {
			_, isMap := n["properties"]
			if isMap && n["additionalProperties"] != false {
				t.Errorf("%s takes unknown fields", path)
			}
		})
		if id := load(t, kind)["$id"]; id != schema.BaseID+kind+".schema.json" {
			t.Errorf("%s has the $id %v", kind, id)
		}
	}
	if _, err := schema.JSON("Deployment"); err == nil {
		t.Error("an unknown kind has a schema")
	}
}

// pairs are fields that are on one side only, with the reason.
var (
	onlySchema = map[string]string{
		"Tenant/services":        "told apart into core, idle and aside",
		"Tenant/slots":           "become idle and fixedPorts",
		"Tenant/services/*/port": "short for ports",
	}
	onlyStruct = map[string]string{
		"Tenant/name": "from metadata", "Tenant/formerly": "from metadata", "Tenant/labels": "from metadata",
		"Tenant/core": "from services", "Tenant/idle": "from slots", "Tenant/aside": "from services",
		"Tenant/fixedPorts":                 "from slots",
		"Tenant/release":                    "computed from the template",
		"Tenant/services/*/files/*/digest":  "computed from the content",
		"Tenant/services/*/files/*/content": "read from the commit",
		"BatchPolicy/name":                  "from metadata",
		"BatchPolicy/zone":                  "the rules of timeZone",
		"Decision/name":                     "from metadata",
	}
)

// TestStructsAndSchemasAgree holds the fields the schemas accept and the fields
// the program reads to be the same ones, of the same type.
func TestStructsAndSchemasAgree(t *testing.T) {
	spec := func(kind string) (object, object) {
		doc := load(t, kind)
		s, _ := doc["properties"].(object)["spec"].(object)
		defs, _ := doc["$defs"].(object)
		return s, defs
	}
	s, defs := spec("Tenant")
	compare(t, defs, "Tenant", s, reflect.TypeFor[plans.Tenant]())
	compare(t, defs, "Tenant/services/*", defs["service"].(object), reflect.TypeFor[plans.Service]())
	s, defs = spec("BatchPolicy")
	compare(t, defs, "BatchPolicy", s, reflect.TypeFor[plans.BatchPolicy]())
	s, defs = spec("Decision")
	compare(t, defs, "Decision", s, reflect.TypeFor[plans.Decision]())
	compare(t, nil, "Config", load(t, "Config"), reflect.TypeFor[schema.HostConfig]())
}

func compare(t *testing.T, defs object, path string, n object, typ reflect.Type) {
	t.Helper()
	if ref, ok := n["$ref"].(string); ok {
		n = defs[strings.TrimPrefix(ref, "#/$defs/")].(object)
	}
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	is := fmt.Sprint(n["type"])
	wants := func(word string) {
		if !strings.Contains(is, word) {
			t.Errorf("%s: the schema takes %s, the program %s", path, is, typ)
		}
	}
	switch {
	case typ == reflect.TypeFor[plans.Duration]():
		if n["format"] != "go-duration" {
			t.Errorf("%s is a duration for the program only", path)
		}
	case typ == reflect.TypeFor[time.Time]():
		if n["format"] != "date-time" {
			t.Errorf("%s is a time for the program only", path)
		}
	case typ.Kind() == reflect.Struct:
		wants("object")
		properties, _ := n["properties"].(object)
		fields := map[string]reflect.Type{}
		for i := range typ.NumField() {
			f := typ.Field(i)
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "-" && name != "" {
				fields[name] = f.Type
			}
		}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			p, inSchema := properties[name].(object)
			at := path + "/" + name
			switch {
			case !inSchema && onlyStruct[at] == "":
				t.Errorf("%s is read by the program, but no schema takes it", at)
			case inSchema:
				compare(t, defs, at, p, fields[name])
			}
		}
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			if at := path + "/" + name; fields[name] == nil && onlySchema[at] == "" {
				t.Errorf("%s is taken by the schema, but the program does not read it", at)
			}
		}
	case typ.Kind() == reflect.Map:
		wants("object")
		compare(t, defs, path+"/*", n["additionalProperties"].(object), typ.Elem())
	case typ.Kind() == reflect.Slice:
		wants("array")
		compare(t, defs, path+"/*", n["items"].(object), typ.Elem())
	case typ.Kind() == reflect.String:
		wants("string")
	case typ.Kind() == reflect.Bool:
		wants("boolean")
	case typ.Kind() == reflect.Int:
		wants("integer")
	case typ.Kind() == reflect.Float64:
		wants("number")
	default:
		t.Errorf("%s has the type %s", path, typ)
	}
}

func TestDefaultsAreThoseOfTheProgram(t *testing.T) {
	want := map[string]plans.Duration{
		"Tenant/spec/services/*/health/interval": plans.DefaultInterval,
		"Tenant/spec/services/*/health/timeout":  plans.DefaultTimeout,
		"Tenant/spec/services/*/health/within":   plans.DefaultWithin,
		"Tenant/spec/services/*/job/timeout":     plans.DefaultJobLimit,
		"Tenant/spec/services/*/stopTimeout":     plans.DefaultStopLimit,
		"Tenant/spec/volumes/*/holdLimit":        plans.DefaultHoldLimit,
		"Tenant/spec/bake":                       plans.DefaultBake,
		"Tenant/spec/drain":                      plans.DefaultDrain,
		"Tenant/spec/soak/for":                   plans.DefaultSoak,
	}
	for _, f := range schema.Describe("Tenant") {
		at := "Tenant" + f.Path
		if d, ok := want[at]; ok {
			if got, err := plans.ParseDuration(f.Default); err != nil || got != d {
				t.Errorf("%s: the schema says %q, the program %s", at, f.Default, d)
			}
			delete(want, at)
		}
		switch at {
		case "Tenant/spec/services/*/health/successes":
			if f.Default != fmt.Sprint(plans.DefaultSuccesses) {
				t.Errorf("%s: the schema says %s", at, f.Default)
			}
		case "Tenant/spec/services/*/health/failures":
			if f.Default != fmt.Sprint(plans.DefaultFailures) {
				t.Errorf("%s: the schema says %s", at, f.Default)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("not in the schema: %v", want)
	}

	c := schema.HostConfig{}.Defaults()
	got := map[string]string{
		"/state": c.State, "/repo/branch": c.Repo.Branch, "/repo/path": c.Repo.Path,
		"/repo/interval": c.Repo.Interval.String(), "/ports": c.Ports, "/drivers/docker/host": c.Drivers.Docker.Host,
		"/drivers/caddy/listen": c.Drivers.Caddy.Listen, "/parallel": fmt.Sprint(c.Parallel), "/keepFree": c.KeepFree,
		"/allowLocal": "false", "/repo/allowRewind": "false", "/drivers/zfs/limit": c.Drivers.ZFS.Limit.String(),
	}
	for _, f := range schema.Describe(schema.ConfigKind) {
		if f.Default != got[f.Path] {
			t.Errorf("%s: the schema says %q, the program %q", f.Path, f.Default, got[f.Path])
		}
	}
}

func TestEffect(t *testing.T) {
	for _, c := range []struct{ kind, path, want string }{
		{"Tenant", "/spec/services/app/image", "replace"},
		{"Tenant", "/services/app/image", "replace"},
		{"Tenant", "/services/app/env/LOG", "replace"},
		{"Tenant", "/services/app/envFrom/0/version", "replace"},
		{"Tenant", "/services/app/mounts/~1srv~1data/readOnly", "replace"},
		{"Tenant", "/services/app/health/http/path", "live"},
		{"Tenant", "/routes/web/hosts", "live"},
		{"Tenant", "/drain", "live"},
		{"Tenant", "/hold/reason", "live"},
		{"Tenant", "/soak/for", "policy"},
		{"Tenant", "/slots/green/services/app/image", "replace"},
		{"Tenant", "/metadata/labels/ring", "policy"},
		{"Fleet", "/defaults/services/app/image", "replace"},
		{"BatchPolicy", "/healthWithin", "policy"},
		{"Config", "/repo/url", "host"},
		{"Tenant", "/services/app/nothing", ""},
		{"Tenant", "", ""},
		{"Nothing", "/spec", ""},
	} {
		if got := schema.Effect(c.kind, c.path); got != c.want {
			t.Errorf("Effect(%s, %s) = %q, want %q", c.kind, c.path, got, c.want)
		}
	}
}

// TestPublishedSchemasStandAlone compiles what `reconcile schema` prints without
// any other file, and judges a plan by it.
func TestPublishedSchemasStandAlone(t *testing.T) {
	for _, kind := range schema.Kinds() {
		text, err := schema.JSON(kind)
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		c.LoadURL = func(url string) (io.ReadCloser, error) { return nil, fmt.Errorf("%s is wanted", url) }
		if err := c.AddResource(schema.BaseID+kind+".schema.json", bytes.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		compiled, err := c.Compile(schema.BaseID + kind + ".schema.json")
		if err != nil {
			t.Fatal(err)
		}
		if kind == "Template" {
			doc := object{"apiVersion": "reconcile/v1", "kind": "Template", "metadata": object{"name": "web"},
				"spec": object{"services": object{"app": object{"port": 8080.0}}}}
			if err := compiled.Validate(doc); err != nil {
				t.Error(err)
			}
			doc["spec"].(object)["services"].(object)["app"].(object)["port"] = "8080"
			if err := compiled.Validate(doc); err == nil {
				t.Error("a port of text is taken")
			}
		}
	}
}
