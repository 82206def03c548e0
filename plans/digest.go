package plans

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// The digests name what a change of plan must replace. They are taken from the
// normal form, which is slot-neutral ({{slot}} and ports are not expanded yet)
// and leaves out what is at its default, and they are versioned: the text
// behind "s1:" and "g1:" never changes, so that upgrading reconcile replaces
// nothing.
//
// How a service is judged is no part of it: neither its probe nor a job's time
// limit. A running slot is judged by the probe it was proved with, so a wrong
// health path in a template restarts nobody. Both are part of Target.Live, so
// that correcting them is a change a failed tenant is tried again for.

// Digest names the service: "s1:" and 32 hex digits.
func (s Service) Digest() string {
	f := newForm()
	f.nest('{', '}', func() { f.service(s) })
	return f.digest("s1:")
}

// Generation names the core: "g1:" and 32 hex digits.
func (c Core) Generation() string {
	f := newForm()
	f.nest('{', '}', func() { f.services("services", c.Services) })
	return f.digest("g1:")
}

// Target returns what t should be, as digests. It is the zero Target for a
// tenant that is to be removed.
//
// Fixed ports, volumes, bake, soak, hold and labels are no part of a target:
// they are read when they are next used.
func (t *Tenant) Target() Target {
	if t.Removed {
		return Target{}
	}
	target := Target{Active: t.ActiveSlot, Core: t.Core.Generation(), Live: t.live()}
	if t.Idle != nil {
		target.Idle = t.Idle.Generation()
	}
	if len(t.Aside) > 0 {
		f := newForm()
		f.nest('{', '}', func() { f.services("services", t.Aside) })
		target.Aside = f.digest("a1:")
	}
	return target
}

// live names what changes in place: routes, the longest drain, and how the
// services are judged.
func (t *Tenant) live() string {
	f := newForm()
	f.nest('{', '}', func() {
		if t.Drain != DefaultDrain {
			f.key("drain")
			f.quote(t.Drain.String())
		}
		f.object("probes", false, func() {
			f.judged("aside", t.Aside)
			f.judged("core", t.Core.Services)
			if t.Idle != nil {
				f.judged("idle", t.Idle.Services)
			}
		})
		f.object("routes", false, func() {
			for name, r := range Sorted(t.Routes) {
				f.object(name, true, func() {
					f.set("hosts", r.Hosts)
					f.text("path", r.Path, "/")
					f.text("port", r.Port, "")
					f.text("service", r.Service, "")
				})
			}
		})
	})
	return f.digest("l1:")
}

// imageOf returns what counts of an image reference: repository@digest. The tag
// is for people. A reference without a digest counts as it is.
func imageOf(ref string) string {
	repository, digest, ok := strings.Cut(ref, "@")
	if !ok {
		return ref
	}
	if colon := strings.LastIndexByte(repository, ':'); colon > strings.LastIndexByte(repository, '/') {
		repository = repository[:colon]
	}
	return repository + "@" + digest
}

// contentDigest names the content of a file.
func contentDigest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}
