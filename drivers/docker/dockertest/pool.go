package dockertest

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
)

// pool is an address range for the networks of one engine. Engines of several
// test processes run at one time, and an engine that stops removes the bridges
// of its range: no two may have the same one.
type pool struct {
	net   *net.IPNet
	claim net.Listener // nil once released; the kernel gives it up with the process
}

// pools is how many ranges there are: 10.128.0.0/16 to 10.191.0.0/16.
const pools = 64

// claimPool takes a range that no interface of the machine uses and no engine
// of another process has claimed. The claim is a socket in the abstract
// namespace (unix(7)), so it never outlives its holder.
func claimPool() (*pool, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("claim address range: %w", err)
	}
	var last error
	for i := range pools {
		_, r, _ := net.ParseCIDR(fmt.Sprintf("10.%d.0.0/16", 128+i))
		if slices.ContainsFunc(addrs, func(a net.Addr) bool {
			ip, ok := a.(*net.IPNet)
			return ok && (r.Contains(ip.IP) || ip.Contains(r.IP))
		}) {
			continue
		}
		claim, err := net.Listen("unix", "@reconcile-dockertest-"+r.String())
		if err != nil {
			last = err
			continue
		}
		return &pool{net: r, claim: claim}, nil
	}
	return nil, fmt.Errorf("claim address range: none of 10.128.0.0/16 to 10.191.0.0/16 is free: %w", last)
}

// release gives the range up: what has an address of it from now on is another's.
func (p *pool) release() error {
	if p.claim == nil {
		return nil
	}
	err := p.claim.Close()
	p.claim = nil
	return err
}

// bridges are the interfaces with an address of the range, while it is claimed.
func (p *pool) bridges() []string {
	if p.claim == nil {
		return nil
	}
	all, _ := net.Interfaces()
	var names []string
	for _, i := range all {
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			if ip, ok := a.(*net.IPNet); ok && p.net.Contains(ip.IP) {
				names = append(names, i.Name)
			}
		}
	}
	return names
}

func (p *pool) removeBridges() error {
	var errs []error
	for _, name := range p.bridges() {
		if out, err := exec.Command("ip", "link", "delete", name).CombinedOutput(); err != nil {
			errs = append(errs, fmt.Errorf("remove bridge %s: %w: %s", name, err, out))
		}
	}
	return errors.Join(errs...)
}
