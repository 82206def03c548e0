package caddy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/load"
)

// stock starts the same binary as a plain Caddy with one static route, and
// returns its address and process id.
func stock(b *testing.B, upstream string) (string, int) {
	b.Helper()
	dir, err := os.MkdirTemp("", "rc-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	address := freeAddress(b)
	server := Proxy{}.server([]string{address}, object{"disable": true})
	proxy := server["routes"].([]any)[0].(object)["handle"].([]any)[1].(object)
	proxy["upstreams"] = []any{object{"dial": upstream}}
	server["routes"] = []any{object{"match": []any{object{"host": []string{"t0.test"}}}, "handle": []any{proxy}}}
	settings, err := json.Marshal(object{
		"admin": object{"disabled": true},
		"apps":  object{"http": object{"servers": object{"stock": server}}},
	})
	if err != nil {
		b.Fatal(err)
	}
	config := filepath.Join(dir, "caddy.json")
	if err := os.WriteFile(config, settings, 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(binary, "run", "--config", config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // scheduled like ours, which has its own session
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL) // ends with the benchmark
		_ = cmd.Wait()
	})
	until(b, "stock Caddy answers", func() bool {
		res, err := http.Get("http://" + address)
		if err != nil {
			return false
		}
		return res.Body.Close() == nil
	})
	return address, cmd.Process.Pid
}

// pace is what one run of load got through.
type pace struct {
	rate float64 // requests a second
	cost float64 // processor time of the proxy for each, in µs
}

// measure loads a proxy for a while. Its processor time is what the kernel
// counts, so that busy neighbours do not change it much.
func measure(b *testing.B, pid int, address, host string, d time.Duration) pace {
	b.Helper()
	before := processorTime(b, pid)
	run := load.Start(b.Context(), load.Config{Proxy: address, Host: host, Think: -1, Workers: map[load.Kind]int{load.Get: 8}})
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
	r := run.Stop()
	if r.Failed() != 0 {
		b.Fatalf("%d of %d failed: %q", r.Failed(), r.Sent(), r.Errors())
	}
	spent := processorTime(b, pid) - before
	return pace{float64(r.Sent()) / r.Took.Seconds(), float64(spent.Microseconds()) / float64(r.Sent())}
}

// processorTime is what a process has used, from /proc/PID/schedstat of its threads.
func processorTime(b *testing.B, pid int) (d time.Duration) {
	b.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(threads) == 0 {
		b.Skipf("processor time of %d: %v", pid, err)
	}
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the thread ended
		}
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		d += time.Duration(ns)
	}
	return d
}

var sizes = []int{10, 1_000, 10_000}

// BenchmarkSwitch is a durable switch as the driver sees it.
func BenchmarkSwitch(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p, entries := newFilled(b, n, newUpstream(b, "here", new(load.Ledger)).address)
			e := entries[n-1]
			rev := p.see(b, e.Tenant).Revision
			var took []time.Duration
			for b.Loop() {
				e.Slot = e.Slot.Other()
				began := time.Now()
				var err error
				if rev, err = p.router.Set(b.Context(), "switch", e, rev); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
			b.ReportMetric(float64(residentKB(b, p.pid))/1024, "MB-resident")
		})
	}
}

// BenchmarkProxy compares requests a second with stock Caddy and one static
// route, in short turns on the same machine so that both meet the same
// neighbours. ratio is ours to theirs, cpu-ratio the same of processor time for
// each request; both are medians of the turns, and 1.00 is no overhead.
func BenchmarkProxy(b *testing.B) {
	const turns, each = 15, 150 * time.Millisecond
	u := newUpstream(b, "here", new(load.Ledger))
	plain, plainPID := stock(b, u.address)
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p, _ := newFilled(b, n, u.address)
			host := fmt.Sprintf("t%d.test", n-1)
			for b.Loop() {
				var ours, theirs, ratios, cost []float64
				for turn := range turns {
					us := pace{}
					if turn%2 == 0 {
						us = measure(b, p.pid, p.address, host, each)
					}
					them := measure(b, plainPID, plain, "t0.test", each)
					if turn%2 == 1 {
						us = measure(b, p.pid, p.address, host, each)
					}
					theirs, ours = append(theirs, them.rate), append(ours, us.rate)
					ratios, cost = append(ratios, us.rate/them.rate), append(cost, us.cost/them.cost)
				}
				b.ReportMetric(median(ours), "req/s")
				b.ReportMetric(median(theirs), "stock-req/s")
				b.ReportMetric(median(ratios), "ratio")
				b.ReportMetric(median(cost), "cpu-ratio")
			}
		})
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
