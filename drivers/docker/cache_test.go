package docker

import (
	"testing"

	"github.com/gitops-fleet/reconcile/plans"
)

// A proof of who answers holds for one socket, until something is heard of the
// container, or nothing is heard any more.
func TestProofEnds(t *testing.T) {
	key := plans.Key{Tenant: "acme", Slot: plans.Blue, Service: "app"}
	for _, c := range []struct {
		name string
		then func(c *cache, hangUp func())
		ask  string
		want bool
	}{
		{"nothing happened", func(*cache, func()) {}, "17", true},
		{"another socket", func(*cache, func()) {}, "18", false},
		{"no socket", func(*cache, func()) {}, "", false},
		{"an event", func(c *cache, _ func()) { c.drop("one") }, "17", false},
		{"an event of another", func(c *cache, _ func()) { c.drop("two") }, "17", true},
		{"no more events", func(_ *cache, hangUp func()) { hangUp() }, "17", false},
		{"events again", func(c *cache, hangUp func()) { hangUp(); c.listen() }, "17", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newCache()
			hangUp := k.listen()
			k.prove(k.mark(), key, 8080, "17", "one")
			c.then(k, hangUp)
			if got := k.proved(key, 8080, c.ask); got != c.want {
				t.Errorf("proved: %v, want %v", got, c.want)
			}
		})
	}
	k := newCache()
	k.prove(k.mark(), key, 8080, "17", "one")
	if k.listen(); k.proved(key, 8080, "17") {
		t.Error("what was proved while nobody listened still holds")
	}
	mark := k.mark()
	k.drop("one")
	if k.prove(mark, key, 8080, "17", "one"); k.proved(key, 8080, "17") {
		t.Error("what was begun before an event is taken for proved after it")
	}
}
