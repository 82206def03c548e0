package proposal

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// texts are of few different lines, so that they have much in common.
var texts = rapid.Custom(func(t *rapid.T) string {
	lines := rapid.SliceOfN(rapid.SampledFrom([]string{"a\n", "b\n", "c\n", "d\n", "\n"}), 0, 12).Draw(t, "lines")
	end := rapid.SampledFrom([]string{"", "e"}).Draw(t, "end") // a last line without an end
	return strings.Join(lines, "") + end
})

func TestMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, ours, theirs := texts.Draw(t, "base"), texts.Draw(t, "ours"), texts.Draw(t, "theirs")
		if got := apply(base, hunks(base, ours)); got != ours {
			t.Fatalf("apply: %q, want %q", got, ours)
		}
		if got, err := merge("f", base, nil, hunks(base, theirs)); err != nil || got != theirs {
			t.Fatalf("nothing of ours: %q %v, want %q", got, err, theirs)
		}
		if got, err := merge("f", base, hunks(base, ours), hunks(base, ours)); err != nil || got != ours {
			t.Fatalf("both the same: %q %v, want %q", got, err, ours)
		}
		one, err := merge("f", base, hunks(base, ours), hunks(base, theirs))
		other, err2 := merge("f", base, hunks(base, theirs), hunks(base, ours))
		if (err == nil) != (err2 == nil) || err == nil && one != other {
			t.Fatalf("sides are not alike: %q %v, %q %v", one, err, other, err2)
		}
	})
}

func TestMerge(t *testing.T) {
	base := "1\n2\n3\n4\n5\n6\n"
	for name, c := range map[string]struct{ ours, theirs, want string }{
		"apart":            {"one\n2\n3\n4\n5\n6\n", "1\n2\n3\n4\nfive\n6\n", "one\n2\n3\n4\nfive\n6\n"},
		"removed, added":   {"2\n3\n4\n5\n6\n", "1\n2\n3\n4\n5\n6\n7\n", "2\n3\n4\n5\n6\n7\n"},
		"the same":         {"1\n2\n3\nfour\n5\n6\n", "1\n2\n3\nfour\n5\n6\n", "1\n2\n3\nfour\n5\n6\n"},
		"in one place":     {"1\n2\nmine\n4\n5\n6\n", "1\n2\ntheirs\n4\n5\n6\n", ""},
		"side by side":     {"1\n2\nmine\n4\n5\n6\n", "1\n2\n3\ntheirs\n5\n6\n", ""},
		"removed, changed": {"1\n2\n5\n6\n", "1\n2\ntheirs\n4\n5\n6\n", ""},
	} {
		got, err := merge("f", base, hunks(base, c.ours), hunks(base, c.theirs))
		var clash conflict
		if c.want == "" != errors.As(err, &clash) || got != c.want {
			t.Errorf("%s: %q %v, want %q", name, got, err, c.want)
		}
	}
	_, err := merge("fleet.yaml", base, hunks(base, "1\nmine\n3\n4\n5\n6\n"), hunks(base, "1\n2\ntheirs\n4\n5\n6\n"))
	const want = "fleet.yaml was changed again in the same place:\n" +
		"    now     mine\n    now     3\n    then    2\n    then    3\n    before  2\n    before  theirs"
	if err == nil || err.Error() != want {
		t.Errorf("conflict:\n%v\nwant:\n%s", err, want)
	}
}
