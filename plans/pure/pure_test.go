package pure_test

import (
	"slices"
	"testing"

	"github.com/gitops-fleet/reconcile/plans/pure"
)

func TestCheckFindsEachImpurity(t *testing.T) {
	got, err := pure.Check("testdata/impure")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"impure.go:7: imports os",
		"impure.go:22: time.Now reads the clock",
		"impure.go:24: time.Since reads the clock",
		"impure.go:26: time.Local depends on the host",
		"impure.go:27: time.Sleep waits",
		"impure.go:28: fmt.Println writes",
		"impure.go:29: starts a goroutine",
		"impure.go:30: uses a channel",
		"impure.go:31: uses a channel",
		"impure.go:32: uses a channel",
		"impure.go:33: uses a channel",
		"impure.go:35: uses a channel",
		"impure.go:36: ranges over a map outside Sorted",
		"impure.go:38: walks a map by maps.Keys without sorting",
		"impure.go:42: walks a map by maps.Values without sorting",
		"impure.go:46: ranges over a map outside Sorted",
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("found %q", got)
		for _, g := range got {
			if !slices.Contains(want, g) {
				t.Errorf("not expected: %s", g)
			}
		}
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("missed: %s", w)
			}
		}
	}
}

func TestCheckNeedsAPackage(t *testing.T) {
	if _, err := pure.Check(t.TempDir()); err == nil {
		t.Error("an empty folder is no pure package")
	}
}
