package process

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// BenchmarkUnpack lays a layer like those of real images (2,000 small files in
// 100 directories and one of 16 MiB) into a directory, both digests verified,
// beside tar(1) extracting the same file. x-tar is the median of pairs.
func BenchmarkUnpack(b *testing.B) {
	if _, err := exec.LookPath("tar"); err != nil {
		b.Skip(err)
	}
	dir := b.TempDir()
	plain := archive(b, benchLayer())
	file := filepath.Join(dir, "layer.tar.gz")
	digest := compressed(b, file, plain)
	diffID := sum(plain)
	var ours, theirs, pairs []float64
	for i := 0; b.Loop(); i++ {
		var us, them time.Duration
		turns := []func(){
			func() {
				us = timed(b, func() error {
					u, err := newUnpacker(filepath.Join(dir, "ours"), Limits{}.effective(), os.Geteuid() == 0)
					if err != nil {
						return err
					}
					defer u.close()
					if err := u.blob(b.Context(), file, digest, diffID); err != nil {
						return err
					}
					return u.finish()
				})
			},
			func() {
				into := filepath.Join(dir, "theirs")
				if err := os.Mkdir(into, 0o755); err != nil {
					b.Fatal(err)
				}
				them = timed(b, func() error { return exec.Command("tar", "-xzpf", file, "-C", into).Run() })
			},
		}
		turns[i%2]()
		turns[1-i%2]()
		for _, d := range []string{"ours", "theirs"} {
			if err := removeTree(filepath.Join(dir, d)); err != nil {
				b.Fatal(err)
			}
		}
		ours, theirs = append(ours, us.Seconds()*1000), append(theirs, them.Seconds()*1000)
		pairs = append(pairs, us.Seconds()/them.Seconds())
	}
	b.ReportMetric(middle(pairs), "x-tar")
	b.ReportMetric(middle(ours), "ms")
	b.ReportMetric(middle(theirs), "tar-ms")
}

func benchLayer() []entry {
	r := rand.New(rand.NewPCG(1, 2))
	text := func(n int) string {
		words := make([]byte, 0, n)
		for len(words) < n {
			words = fmt.Appendf(words, "%x ", r.Uint32())
		}
		return string(words[:n])
	}
	list := []entry{{name: "usr/"}, {name: "usr/big", text: text(16 << 20)}}
	for d := range 100 {
		list = append(list, entry{name: fmt.Sprintf("usr/d%02d/", d)})
		for f := range 20 {
			list = append(list, entry{name: fmt.Sprintf("usr/d%02d/f%02d", d, f), text: text(r.IntN(16 << 10)), mode: 0o644})
		}
	}
	return list
}

// compressed writes the archive as a gzipped blob and returns its digest.
func compressed(b *testing.B, file string, plain []byte) string {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write(plain); err != nil {
		b.Fatal(err)
	}
	if err := z.Close(); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(file, buf.Bytes(), 0o644); err != nil {
		b.Fatal(err)
	}
	return sum(buf.Bytes())
}

func timed(b *testing.B, do func() error) time.Duration {
	b.Helper()
	began := time.Now()
	if err := do(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

func middle(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
