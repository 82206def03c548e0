package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// whole finds the one id that begins as given, as git does with commits; "ro-"
// may be left out. An exact id is itself even where others begin with it. what
// is the word for one of them, list the command that lists them.
func whole(ids []string, given, what, list string) (string, error) {
	fail := func(text string, hint string) (string, error) {
		return "", observed.Wrap("find "+what, given, observed.Refused, errors.New(text), hint)
	}
	if slices.Contains(ids, given) {
		return given, nil
	}
	var found []string
	for _, id := range ids {
		if strings.HasPrefix(id, given) || strings.HasPrefix(id, "ro-"+given) {
			found = append(found, id)
		}
	}
	switch {
	case given == "":
		return fail("it is empty", "`"+list+"` lists them")
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return fail(fmt.Sprintf("%d begin so: %s", len(found), someNames(found)), "give more of the one you mean")
	case len(ids) == 0:
		return fail("there is none, of any name", "`"+list+"` lists them")
	}
	return fail("none has this id, or begins so", "`"+list+"` lists them")
}
