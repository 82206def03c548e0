package process_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/drivertest/images"
	"github.com/gitops-fleet/reconcile/drivers/process"
	"github.com/gitops-fleet/reconcile/plans"
)

// BenchmarkStart brings up an instance of an image that is present until its
// port accepts, beside a bare clone and exec of the same binary in mount and pid
// namespaces of its own until its port does. x-exec is the median of pairs, and
// own-ms what an instance costs more: its record made durable, its root, its shim.
func BenchmarkStart(b *testing.B) {
	bin, err := hub.bin()
	if err != nil {
		b.Fatal(err)
	}
	ref, err := hub.reg.Push(b.Context(), "bench/serve", "1", images.Spec{Binary: bin})
	if err != nil {
		b.Fatal(err)
	}
	root, err := os.MkdirTemp(hub.dir, "b")
	if err != nil {
		b.Fatal(err)
	}
	rt, err := process.New(process.Config{Root: filepath.Join(root, "run"), Owner: drivers.Owner{Fleet: "bench", Node: "here", Controller: "one"}})
	if err != nil {
		b.Fatal(err)
	}
	defer rt.Close()
	if err := rt.Pull(b.Context(), ref, nil); err != nil {
		b.Fatal(err)
	}
	var ours, theirs, pairs, more []float64
	for i := 0; b.Loop(); i++ {
		var us, them time.Duration
		turns := []func(){
			func() { us = startInstance(b, rt, ref, i) },
			func() { them = startBare(b, bin) },
		}
		turns[i%2]()
		turns[1-i%2]()
		ours, theirs = append(ours, us.Seconds()*1000), append(theirs, them.Seconds()*1000)
		pairs, more = append(pairs, us.Seconds()/them.Seconds()), append(more, (us-them).Seconds()*1000)
	}
	b.ReportMetric(middleOf(pairs), "x-exec")
	b.ReportMetric(middleOf(ours), "ms")
	b.ReportMetric(middleOf(theirs), "exec-ms")
	b.ReportMetric(middleOf(more), "own-ms")
}

func startInstance(b *testing.B, rt *process.Runtime, ref string, i int) time.Duration {
	key := plans.Key{Tenant: fmt.Sprint("t", i), Slot: plans.Blue, Service: "app"}
	port := vacant(b)
	began := time.Now()
	if err := rt.Start(b.Context(), "1", plans.Instance{Key: key, Digest: "s1:1", Generation: "g1:1",
		Ports: map[string]int{"http": port}, Spec: plans.Service{Image: ref, Ports: map[string]int{"http": 8080}}}); err != nil {
		b.Fatal(err)
	}
	accepts(b, port)
	took := time.Since(began)
	if err := rt.Stop(b.Context(), "2", key, 0); err != nil {
		b.Fatal(err)
	}
	if err := rt.Remove(b.Context(), "3", key); err != nil {
		b.Fatal(err)
	}
	return took
}

func startBare(b *testing.B, bin string) time.Duration {
	port := vacant(b)
	cmd := exec.Command(bin)
	cmd.Env = []string{fmt.Sprint("PORT=", port)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	accepts(b, port)
	took := time.Since(began)
	if err := cmd.Process.Kill(); err != nil {
		b.Fatal(err)
	}
	var killed *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &killed) {
		b.Fatal(err)
	}
	return took
}

func vacant(b *testing.B) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func accepts(b *testing.B, port int) {
	for deadline := time.Now().Add(30 * time.Second); ; {
		c, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			b.Fatal(err)
		}
		time.Sleep(200 * time.Microsecond) // a floor has to be asked often
	}
}

func middleOf(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
