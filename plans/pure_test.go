package plans_test

import (
	"testing"

	"github.com/gitops-fleet/reconcile/plans/pure"
)

func TestPure(t *testing.T) {
	for _, dir := range []string{".", "observed"} {
		found, err := pure.Check(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			t.Errorf("%s/%s", dir, f)
		}
	}
}
