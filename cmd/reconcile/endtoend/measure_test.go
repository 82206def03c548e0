package endtoend

import (
	"net"
	"slices"
	"testing"
	"time"
)

// median is the middle one of three measurements.
func median(measure func() time.Duration) time.Duration {
	took := []time.Duration{measure(), measure(), measure()}
	slices.Sort(took)
	return took[1]
}

// round makes a duration readable.
func round(d time.Duration) time.Duration {
	if d > time.Second {
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(10 * time.Microsecond)
}

// freeAddress is one on loopback where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
