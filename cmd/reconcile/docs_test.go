package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every verb has a section in docs/verbs.md, a help with an example, and the
// list of exit statuses.
func TestEveryVerbIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/verbs.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "## "); ok {
			sections[name] = true
		}
	}
	p := &program{stdout: io.Discard, stderr: io.Discard, env: func(string) string { return "" }}
	root := p.root()
	verbs := append([]*cobra.Command{root}, root.Commands()...)
	if len(verbs) < 12 {
		t.Fatalf("%d verbs found", len(verbs))
	}
	for _, v := range verbs {
		name := v.CommandPath()
		if v.Hidden {
			continue
		}
		if !sections[name] {
			t.Errorf("%s has no section in docs/verbs.md", name)
		}
		if v.Example == "" || v.Long == "" && v.Short == "" {
			t.Errorf("%s has no example or no help", name)
		}
		var help strings.Builder
		if code := execute(context.Background(), append(strings.Fields(name)[1:], "--help"), &help, io.Discard); code != 0 {
			t.Errorf("%s --help exits %d", name, code)
		}
		for _, want := range []string{"Usage:", "Exit status:", "130  interrupted"} {
			if !strings.Contains(help.String(), want) {
				t.Errorf("%s --help does not say %q", name, want)
			}
		}
	}
}

// reconcile talks to the proxy over its socket, and links nothing of Caddy.
func TestLinksNoCaddy(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for pkg := range strings.Lines(string(out)) {
		n++
		if strings.HasPrefix(pkg, "github.com/caddyserver/") {
			t.Errorf("links %s", strings.TrimSpace(pkg))
		}
	}
	if n < 100 {
		t.Fatalf("only %d packages listed", n)
	}
}
