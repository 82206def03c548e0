package dockertest_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/drivers/docker/dockertest"
)

// An engine that is stopped, also after it was killed with a network up, leaves
// nothing.
func TestStopLeavesNothing(t *testing.T) {
	for name, end := range map[string]func(*dockertest.Engine) error{
		"running": func(*dockertest.Engine) error { return nil },
		"killed":  (*dockertest.Engine).Kill,
		"dark":    (*dockertest.Engine).PowerLoss,
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "dkt")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			e, err := dockertest.Start(context.Background(), dir)
			if errors.Is(err, dockertest.ErrUnable) && os.Getenv("CI") != "true" {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			cli, err := e.Client()
			if err != nil {
				t.Fatal(err)
			}
			defer cli.Close()
			if _, err := cli.NetworkCreate(t.Context(), "n", client.NetworkCreateOptions{Driver: "bridge"}); err != nil {
				t.Fatal(err)
			}
			if left := strings.Join(e.Leftovers(), " "); !strings.Contains(left, "bridge") || !strings.Contains(left, "process") {
				t.Errorf("of a running engine it sees only %q", left)
			}
			if err := end(e); err != nil {
				t.Fatal(err)
			}
			if err := e.Stop(); err != nil {
				t.Fatal(err)
			}
			if left := e.Leftovers(); len(left) > 0 {
				t.Errorf("left over: %q", left)
			}
		})
	}
}
