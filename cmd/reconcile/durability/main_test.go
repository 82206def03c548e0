package durability

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/vm"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/workshop"
)

var (
	soak      = flag.Bool("soak", false, "run the long forms")
	onlyAt    = flag.String("at", "", "single kills at these kinds of boundary only, by commas")
	powerCuts = flag.Int("cuts", 5, "how often the power is cut; the long form does it 20 times")
)

// shop makes what stories need on the host; in the VM all of it is in /vm.
var shop workshop.Workshop

func TestMain(m *testing.M) {
	flag.Parse()
	if vm.Inside() {
		os.Exit(m.Run())
	}
	if testing.Short() {
		fmt.Println("durability: left out with -short")
		return
	}
	os.Exit(shop.Main(m, "dur"))
}

// writer builds the application once.
var writer = sync.OnceValues(func() (string, error) {
	out := filepath.Join(shop.Dir(), "writer")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, "./writer")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build writer: %w\n%s", err, b)
	}
	return out, nil
})

// binaries are the files a story needs, by their place in /vm.
func binaries(t *testing.T) map[string]string {
	t.Helper()
	app, err := writer()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"bin/reconcile":       filepath.Join(shop.Chaos(t), "reconcile"),
		"bin/reconcile-caddy": filepath.Join(shop.Bin(t), "reconcile-caddy"),
		"writer":              app,
	}
}

// TestInVM plays the stories of this package on ZFS.
func TestInVM(t *testing.T) {
	if vm.Inside() {
		t.Skip("runs on the host: it starts the VM")
	}
	t.Parallel() // with the same stories on the host, which mostly wait
	c := vm.Config{Pool: "tank", Files: binaries(t)}
	if *soak {
		c.Command = append(c.Command, "-soak", "-at="+*onlyAt)
	}
	vm.Tests(t, c)
}
