// Package pure checks that a package is pure: that it reads no clock, starts
// nothing, writes nothing, and gives the same output in the same order.
package pure

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Imports are what a pure package may import directly, beside the packages of
// the module below Own. fmt and others reach os by themselves, so that only
// direct imports can be judged.
var Imports = []string{
	"bytes", "cmp", "crypto/sha256", "encoding/hex", "encoding/json", "errors", "fmt", "iter", "maps", "math",
	"net/netip", "net/url", "regexp", "slices", "strconv", "strings", "time", "unicode",
}

// Own is the only part of the module a pure package may import, this checker
// aside.
const Own = "github.com/gitops-fleet/reconcile/plans"

// Helper is the one function that may range over a map: it does so in order.
const Helper = "Sorted"

// forbidden are package-level functions and variables, and what they would do.
var forbidden = map[string]map[string]string{
	"time": {
		"Now": "reads the clock", "Since": "reads the clock", "Until": "reads the clock",
		"After": "starts a timer", "AfterFunc": "starts a timer", "Tick": "starts a timer",
		"NewTimer": "starts a timer", "NewTicker": "starts a timer", "Sleep": "waits",
		"LoadLocation": "reads the disk", "Local": "depends on the host",
	},
	"fmt": {
		"Print": "writes", "Printf": "writes", "Println": "writes", "Scan": "reads", "Scanf": "reads", "Scanln": "reads",
	},
}

// Check returns what makes the package in dir impure, each with its place.
// Test files are not looked at.
func Check(dir string) ([]string, error) {
	c, err := load(dir)
	if err != nil {
		return nil, err
	}
	for _, f := range c.files {
		c.imports(f)
		c.file(f)
	}
	slices.Sort(c.found)
	return c.found, nil
}

type checker struct {
	fset  *token.FileSet
	files []*ast.File
	info  types.Info
	found []string
}

func load(dir string) (*checker, error) {
	c := &checker{fset: token.NewFileSet(), info: types.Info{
		Uses: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{},
	}}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(c.fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		c.files = append(c.files, f)
	}
	if len(c.files) == 0 {
		return nil, fmt.Errorf("check %s: no Go files", dir)
	}
	exports, err := exports(dir)
	if err != nil {
		return nil, err
	}
	lookup := func(path string) (io.ReadCloser, error) {
		file, ok := exports[path]
		if !ok {
			return nil, fmt.Errorf("no export data for %s", path)
		}
		return os.Open(file)
	}
	conf := types.Config{Importer: importer.ForCompiler(c.fset, "gc", lookup)}
	if _, err := conf.Check(dir, c.fset, c.files, &c.info); err != nil {
		return nil, fmt.Errorf("check %s: %w", dir, err)
	}
	return c, nil
}

// exports asks the go tool where the compiled form of each dependency is.
func exports(dir string) (map[string]string, error) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}", ".")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list dependencies of %s: %w: %s", dir, err, stderr.Bytes())
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if file != "" {
			exports[path] = file
		}
	}
	return exports, nil
}

func (c *checker) say(n ast.Node, format string, args ...any) {
	p := c.fset.Position(n.Pos())
	c.found = append(c.found, fmt.Sprintf("%s:%d: %s", filepath.Base(p.Filename), p.Line, fmt.Sprintf(format, args...)))
}

func (c *checker) imports(f *ast.File) {
	for _, i := range f.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		own := path == Own || strings.HasPrefix(path, Own+"/") && path != Own+"/pure"
		if !own && !slices.Contains(Imports, path) {
			c.say(i, "imports %s", path)
		}
	}
}

func (c *checker) file(f *ast.File) {
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == Helper {
			continue
		}
		sorted := map[ast.Expr]bool{} // arguments of slices.Sorted and its like
		ast.Inspect(d, func(n ast.Node) bool {
			c.node(n, sorted)
			return true
		})
	}
}

func (c *checker) node(n ast.Node, sorted map[ast.Expr]bool) {
	switch n := n.(type) {
	case *ast.GoStmt:
		c.say(n, "starts a goroutine")
	case *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
		c.say(n, "uses a channel")
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			c.say(n, "uses a channel")
		}
	case *ast.RangeStmt:
		switch under(c.info.TypeOf(n.X)).(type) {
		case *types.Map:
			c.say(n, "ranges over a map outside %s", Helper)
		case *types.Chan:
			c.say(n, "uses a channel")
		}
	case *ast.CallExpr:
		if pkg, name := c.called(n); pkg == "slices" && strings.HasPrefix(name, "Sorted") {
			sorted[n.Args[0]] = true
		} else if pkg == "maps" && (name == "Keys" || name == "Values" || name == "All") && !sorted[n] {
			c.say(n, "walks a map by maps.%s without sorting", name)
		}
	case *ast.Ident:
		c.ident(n)
	}
}

// under returns the type a range goes over: of a type parameter, its core.
func under(t types.Type) types.Type {
	if p, ok := t.(*types.TypeParam); ok {
		u, _ := p.Constraint().Underlying().(*types.Interface)
		if u != nil && u.NumEmbeddeds() == 1 {
			if union, ok := u.EmbeddedType(0).(*types.Union); ok && union.Len() > 0 {
				return union.Term(0).Type().Underlying()
			}
			return u.EmbeddedType(0).Underlying()
		}
	}
	return t.Underlying()
}

func (c *checker) called(n *ast.CallExpr) (pkg, name string) {
	fun := ast.Unparen(n.Fun)
	if index, ok := fun.(*ast.IndexExpr); ok {
		fun = index.X
	}
	sel, ok := fun.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	obj := c.info.Uses[sel.Sel]
	if obj == nil || obj.Pkg() == nil {
		return "", ""
	}
	return obj.Pkg().Path(), obj.Name()
}

func (c *checker) ident(n *ast.Ident) {
	obj := c.info.Uses[n]
	if obj == nil || obj.Pkg() == nil {
		return
	}
	if fn, ok := obj.(*types.Func); ok && fn.Signature().Recv() != nil && obj.Name() != "Local" {
		return // methods with these names, such as time.Time.After, are pure
	}
	if why, bad := forbidden[obj.Pkg().Path()][obj.Name()]; bad {
		c.say(n, "%s.%s %s", obj.Pkg().Name(), obj.Name(), why)
	}
}
