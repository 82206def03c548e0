package schema_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/schema"
)

func tenant(name string) string {
	return "apiVersion: reconcile/v1\nkind: Tenant\nmetadata: {name: " + name + "}\nspec: {template: web}\n"
}

func files(contents map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range contents {
		fsys[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return fsys
}

func names(docs []plans.Document) string {
	var out []string
	for _, d := range docs {
		out = append(out, d.At.File+":"+d.Name)
	}
	return strings.Join(out, " ")
}

func TestLoad(t *testing.T) {
	fsys := files(map[string]string{
		"plans/b.yaml":          tenant("b"),
		"plans/a/z.yml":         tenant("z") + "---\n" + tenant("y"),
		"plans/files/app.yaml":  "not: a plan",
		"plans/a/files/x.yaml":  "not: a plan",
		"plans/.github/ci.yaml": "not: a plan",
		"plans/.hidden.yaml":    "not: a plan",
		"plans/README.md":       "text",
		"elsewhere/c.yaml":      tenant("c"),
	})
	docs, problems, err := schema.Load(fsys, schema.Options{Root: "plans"})
	if err != nil || len(problems) > 0 {
		t.Fatalf("%v\n%s", err, write(problems))
	}
	if got := names(docs); got != "a/z.yml:z a/z.yml:y b.yaml:b" {
		t.Errorf("loaded %s", got)
	}
	for _, root := range []string{"", ".", "./"} {
		docs, problems, err := schema.Load(files(map[string]string{"a.yaml": tenant("a")}), schema.Options{Root: root})
		if err != nil || len(problems) > 0 || names(docs) != "a.yaml:a" {
			t.Errorf("root %q: %s, %v, %v", root, names(docs), problems, err)
		}
	}
}

func TestLoadIsNeverEmptyByMistake(t *testing.T) {
	if _, problems, err := schema.Load(files(map[string]string{"README.md": ""}), schema.Options{}); err != nil || len(problems) != 1 {
		t.Errorf("a folder without plans: %v, %v", problems, err)
	}
	if docs, _, err := schema.Load(fstest.MapFS{}, schema.Options{Root: "plans"}); !errors.Is(err, fs.ErrNotExist) || docs != nil {
		t.Errorf("a missing folder: %v, %v", docs, err)
	}
	if _, _, err := schema.Load(files(map[string]string{"plans": "x"}), schema.Options{Root: "plans"}); err == nil {
		t.Error("a file was loaded as a folder")
	}
	broken := brokenFS{FS: files(map[string]string{"a.yaml": tenant("a"), "b.yaml": tenant("b")}), name: "b.yaml"}
	if docs, _, err := schema.Load(broken, schema.Options{}); err == nil || docs != nil {
		t.Errorf("an unreadable file: %d documents, %v", len(docs), err)
	}
	link := files(map[string]string{"a.yaml": tenant("a")})
	link["b.yaml"] = &fstest.MapFile{Data: []byte("a.yaml"), Mode: fs.ModeSymlink | 0o777}
	if _, problems, err := schema.Load(link, schema.Options{}); err != nil || len(problems) != 1 || problems[0].Pos.File != "b.yaml" {
		t.Errorf("a link: %v, %v", problems, err)
	}
}

// brokenFS cannot read one file.
type brokenFS struct {
	fs.FS
	name string
}

func (b brokenFS) Open(name string) (fs.File, error) {
	if name == b.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("input/output error")}
	}
	return b.FS.Open(name)
}

func TestCacheParsesOnlyWhatChanged(t *testing.T) {
	for _, hashed := range []bool{true, false} {
		t.Run(fmt.Sprintf("hashed=%v", hashed), func(t *testing.T) {
			fsys := fstest.MapFS{}
			for i := range 20 {
				fsys[fmt.Sprintf("t%02d.yaml", i)] = &fstest.MapFile{Data: []byte(tenant(fmt.Sprintf("t%d", i)))}
			}
			reads := 0
			o := schema.Options{Cache: new(schema.Cache)}
			if hashed {
				o.Hash = func(path string) string { return string(fsys[path].Data) }
			}
			load := func(wantParsed, wantDocs, wantProblems int) []plans.Document {
				t.Helper()
				before := o.Cache.Parsed()
				reads = 0
				docs, problems, err := schema.Load(countingFS{fsys, &reads}, o)
				if err != nil {
					t.Fatal(err)
				}
				if got := o.Cache.Parsed() - before; got != wantParsed || len(docs) != wantDocs || len(problems) != wantProblems {
					t.Fatalf("parsed %d files, %d documents, %d problems; want %d, %d, %d", got, len(docs), len(problems), wantParsed, wantDocs, wantProblems)
				}
				if hashed && reads != wantParsed {
					t.Fatalf("read %d files to parse %d", reads, wantParsed)
				}
				return docs
			}
			load(20, 20, 0)
			load(0, 20, 0)
			fsys["t07.yaml"] = &fstest.MapFile{Data: []byte(tenant("changed"))}
			if docs := load(1, 20, 0); docs[7].Name != "changed" {
				t.Errorf("the changed file has %s", docs[7].Name)
			}
			fsys["t07.yaml"] = &fstest.MapFile{Data: []byte("kind: x\n")}
			load(1, 19, 1)
			load(0, 19, 1) // a problem is remembered like a document
			delete(fsys, "t07.yaml")
			load(0, 19, 0)
			fsys["t07.yaml"] = &fstest.MapFile{Data: []byte(tenant("back"))}
			load(1, 20, 0) // what is gone is forgotten
		})
	}
}

type countingFS struct {
	fstest.MapFS
	reads *int
}

func (c countingFS) Open(name string) (fs.File, error) {
	if strings.HasSuffix(name, ".yaml") {
		*c.reads++
	}
	return c.MapFS.Open(name)
}
