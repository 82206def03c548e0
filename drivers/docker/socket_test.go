package docker

import (
	"net"
	"os"
	"testing"
)

// The holder of a port is looked up anew where the one remembered let go.
func TestHolderIsNeverOld(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	for range 2 { // the second time from memory
		if by := listenerOn(port); by.pid != os.Getpid() {
			t.Fatalf("port %d is held by %s, not by this process", port, by)
		}
	}
	lastHolder.Store(port, os.Getppid())
	if by := listenerOn(port); by.pid != os.Getpid() {
		t.Errorf("with another process remembered, it is held by %s", by)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if by := listenerOn(port); by.there {
		t.Errorf("after it was closed, it is held by %s", by)
	}
}

func BenchmarkListenerOn(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	b.Run("anew", func(b *testing.B) {
		for b.Loop() {
			lastHolder.Delete(port)
			listenerOn(port)
		}
	})
	b.Run("again", func(b *testing.B) {
		for b.Loop() {
			listenerOn(port)
		}
	})
}
