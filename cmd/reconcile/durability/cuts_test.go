package durability

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/load"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/vm"
)

// The power of the VM is cut at random points of one upgrade after the other.
// After each restart it goes on, and in the end every number that was
// acknowledged to a client outside is there.
func TestCuts(t *testing.T) {
	if vm.Inside() {
		t.Skip("runs on the host: it cuts the power")
	}
	t.Parallel()
	image := vm.Need(t)
	cuts := *powerCuts
	if *soak {
		cuts = 20
	}
	disk := filepath.Join(t.TempDir(), "disk")
	if err := vm.NewDisk(disk); err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("%s, %s, seed %d", image.About, image.Accel(), seed)
	files := binaries(t)
	files["package.test"] = vm.Compile(t)
	boot := func(mode string) *vm.Machine {
		t.Helper()
		return image.Up(t, vm.Config{Pool: "tank", Disk: disk, Files: files, Forward: []int{lifePort},
			Env: map[string]string{lifeVariable: mode}, Command: []string{"/vm/package.test", "-test.v", "-test.run=^TestLife$"}})
	}
	var acknowledged []string
	upgraded := 0
	var upgrade time.Duration // how long one takes on this machine
	for n := range cuts {
		m := boot(upgrading)
		ctx, cancel := context.WithTimeout(t.Context(), longest)
		run := load.Start(t.Context(), load.Config{Proxy: m.Address(lifePort), Host: host, Think: think(), Workers: map[load.Kind]int{load.Post: 3}})
		where := "it serves"
		switch {
		case upgrade == 0:
			says(ctx, t, m, serves+" 0")
			began := time.Now()
			says(ctx, t, m, serves+" 1")
			upgrade = time.Since(began)
		case n%3 == 1:
			where = "the power is back" // the way up again is cut too
		default:
			says(ctx, t, m, serves)
		}
		cancel()
		after := time.Duration(random.Int64N(int64(3 * upgrade)))
		select {
		case <-m.Over():
			t.Fatalf("it ended by itself:\n%s", m.Console())
		case <-time.After(after):
		}
		if err := m.Cut(); err != nil {
			t.Fatal(err)
		}
		result := run.Stop()
		acknowledged = append(acknowledged, result.Posted...)
		more := max(strings.Count(m.Console(), serves)-1, 0)
		upgraded += more
		t.Logf("cut %d, %s after %s: %d upgrades, %d numbers acknowledged", n+1, after.Round(time.Millisecond), where, more, len(result.Posted))
	}
	files[acknowledgedFile] = filepath.Join(t.TempDir(), acknowledgedFile)
	if err := os.WriteFile(files[acknowledgedFile], []byte(strings.Join(acknowledged, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	m := boot(ending)
	if exit, err := m.Wait(); err != nil || exit != 0 {
		t.Fatalf("after %d power cuts (seed %d): status %d, %v\n%s", cuts, seed, exit, err, m.Console())
	}
	t.Logf("%d power cuts through %d upgrades: all of %d acknowledged numbers are there", cuts, upgraded, len(acknowledged))
}

// says waits until a machine prints a text.
func says(ctx context.Context, t *testing.T, m *vm.Machine, text string) {
	t.Helper()
	for !strings.Contains(m.Console(), text) {
		select {
		case <-m.Over():
			t.Fatalf("it ended by itself:\n%s", m.Console())
		case <-ctx.Done():
			t.Fatalf("it does not say %q:\n%s", text, m.Console())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
