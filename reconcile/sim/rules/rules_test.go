package rules

import (
	"os"
	"path/filepath"
	"testing"
)

// TestReported finds what is reported, and nothing else.
func TestReported(t *testing.T) {
	dir := t.TempDir()
	src := "package p\nfunc (b *books) f() {\n\tb.fail(\"S1\", \"%d\", 1)\n\tb.other(\"S2\", 2)\n\tt.fail(rule, 3)\n\tb.fail(\"S3\")\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte(src), 0o644); err != nil {
		t.Fatal(err)
	}
	got := Reported(t, dir)
	if len(got) != 1 || got["S1"].Line != 3 {
		t.Errorf("%v", got)
	}
}
