package room_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers/room"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

func free(t *testing.T, dir string) int64 {
	t.Helper()
	n, err := room.Free(dir)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Pulls at the same time do not count on the same bytes, and give them back.
func TestClaimsAddUp(t *testing.T) {
	dir := t.TempDir()
	r := room.New(-1)
	image := room.Image{Ref: "shop@sha256:1", Dir: dir, Bytes: free(t, dir) * 6 / 10, Basis: "a guess", Usage: "du"}
	release, err := r.Claim(image)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Claim(image)
	var p *observed.Problem
	if !errors.As(err, &p) || p.Class != observed.Environment {
		t.Fatalf("a second image that does not fit beside the first: %v", err)
	}
	for _, s := range []string{"pull shop@sha256:1: ", "for pulls under way", "(a guess)", " free in " + dir} {
		if !strings.Contains(p.Error(), s) {
			t.Errorf("%q does not say %q", p.Error(), s)
		}
	}
	release()
	release() // once more gives nothing more back
	if release, err = r.Claim(image); err != nil {
		t.Fatalf("after the first was done: %v", err)
	}
	defer release()
	if _, err := r.Claim(image); err == nil {
		t.Error("a room was given away twice")
	}
}

func TestFloor(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		keep int64
		fits bool
	}{
		"the default":             {0, true},
		"none":                    {-1, true},
		"all that is free, twice": {2 * free(t, dir), false},
		"more than can be added":  {1<<63 - 1, false},
	} {
		release, err := room.New(c.keep).Claim(room.Image{Dir: dir, Bytes: 1 << 10})
		if (err == nil) != c.fits {
			t.Errorf("with a floor of %s: %v", name, err)
		}
		if err == nil {
			release()
		}
	}
	_, err := room.New(0).Claim(room.Image{Dir: filepath.Join(dir, "gone")})
	if observed.ClassOf(err) != observed.Environment {
		t.Errorf("a folder that is not there: %v", err)
	}
}
