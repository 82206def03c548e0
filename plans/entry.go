package plans

import (
	"cmp"
	"slices"
	"strconv"
)

// Entry returns what the router shall do for t: its routes lead to slot, and
// each has the loopback address of every slot in slots that has a host port
// (port returns 0 for one that has none). A tenant-scoped service has the same
// address in all.
func (t *Tenant) Entry(slot Slot, slots []Slot, port func(k Key, name string) int) Entry {
	e := Entry{Tenant: t.Name, Slot: slot}
	for _, r := range Sorted(t.Routes) {
		address := t.addresses(r, slots, port)
		for _, host := range r.Hosts {
			e.Routes = append(e.Routes, EntryRoute{
				Host: host, Path: cmp.Or(r.Path, "/"), Service: r.Service, Address: address,
			})
		}
	}
	slices.SortFunc(e.Routes, func(a, b EntryRoute) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Path, b.Path))
	})
	return e
}

func (t *Tenant) addresses(r *Route, slots []Slot, port func(k Key, name string) int) map[Slot]string {
	service, _ := t.Service(r.Service)
	name := r.Port
	if name == "" {
		name, _ = onlyPort(service.Ports)
	}
	address := make(map[Slot]string, len(slots))
	for _, s := range slots {
		k := Key{Tenant: t.Name, Slot: s, Service: r.Service}
		if service.Scope == "tenant" {
			k.Slot = Shared
		}
		if p := port(k, name); p != 0 {
			address[s] = "127.0.0.1:" + strconv.Itoa(p)
		}
	}
	return address
}

// Service finds a service of the tenant by name, in its core or beside it.
func (t *Tenant) Service(name string) (Service, bool) {
	if s, ok := t.Core.Services[name]; ok {
		return s, true
	}
	s, ok := t.Aside[name]
	return s, ok
}

// FixedPort returns the host port the plan fixes for a service's port in a
// slot, or 0 where it leaves the choice to the host.
func (t *Tenant) FixedPort(k Key, name string) int {
	return t.FixedPorts[k.Slot][k.Service+"/"+name]
}
