// Package impure breaks each rule once.
package impure

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"time"
)

type numbers map[string]int

// Sorted may range over a map.
func Sorted(m map[string]int) {
	for range m {
	}
}

func wrong(m numbers, t time.Time, u time.Time) {
	_ = os.Args
	_ = time.Now()
	_ = t.After(u) // fine
	now := time.Since
	_ = now
	_ = t.Local()
	time.Sleep(1)
	fmt.Println()
	go wrong(m, t, u)
	c := make(chan int, 1)
	c <- 1
	<-c
	for range c {
	}
	select {}
	for range m {
	}
	for range maps.Keys(m) {
	}
	for range slices.Sorted(maps.Keys(m)) { // fine
	}
	_ = slices.Collect(maps.Values(m))
}

func generic[M ~map[string]int](m M) {
	for range m {
	}
}
