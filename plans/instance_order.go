package plans

import (
	"errors"
	"fmt"
	"strings"
)

// InstanceOrder names one instance to be made and what the host chose for it.
type InstanceOrder struct {
	Fleet, Node, Commit string
	Slot                Slot // Shared for a tenant-scoped service
	Name                string
	Service             Service // unexpanded: from the plan or from what is stored
	Generation, Attempt string
	Port                func(k Key, name string) int // host port, 0: none is free
	Paths               map[string]string            // volume → host path
	Routed              bool
}

// Instance returns the complete order for one instance, with everything
// expanded. It fails where a port or a volume has no place on the host, or the
// service uses a name that is not known.
func (t *Tenant) Instance(o InstanceOrder) (Instance, error) {
	in := Instance{
		Key:        Key{Tenant: t.Name, Slot: o.Slot, Service: o.Name},
		Digest:     o.Service.Digest(),
		Generation: o.Generation,
		Attempt:    o.Attempt,
		Routed:     o.Routed,
		Commit:     o.Commit,
	}
	var errs []error
	for name := range Sorted(o.Service.Ports) {
		port := 0
		if o.Port != nil {
			port = o.Port(in.Key, name)
		}
		if port == 0 {
			errs = append(errs, fmt.Errorf("port %s: no host port is free for it", name))
		}
		if in.Ports == nil {
			in.Ports = make(map[string]int, len(o.Service.Ports))
		}
		in.Ports[name] = port
	}
	for inside, m := range Sorted(o.Service.Mounts) {
		host, ok := o.Paths[m.Volume]
		if !ok {
			errs = append(errs, fmt.Errorf("mount %s: volume %q has no place on the host", inside, m.Volume))
			continue
		}
		if m.Path != "" {
			host = strings.TrimRight(host, "/") + "/" + strings.Trim(m.Path, "/")
		}
		if in.Volumes == nil {
			in.Volumes = make(map[string]Bind, len(o.Service.Mounts))
		}
		in.Volumes[inside] = Bind{Host: host, ReadOnly: m.ReadOnly}
	}
	v := values{tenant: t.Name, node: o.Node, labels: t.Labels, slot: o.Slot,
		ports: in.Ports, port: func(name string) int { return in.Ports[name] }}
	if v.ports == nil {
		v.ports = map[string]int{} // none, and {{slot}} is known
	}
	in.Spec = o.Service.rewrite(func(path, text string) string {
		out, err := v.expand(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		}
		return out
	})
	in.Spec.Files = contents(in.Spec.Files)
	if err := errors.Join(errs...); err != nil {
		return Instance{}, fmt.Errorf("order %s: %w", in.Key, err)
	}
	return in, nil
}

// contents moves the bytes of each file to Text, where a driver finds them.
func contents(files map[string]File) map[string]File {
	if len(files) == 0 {
		return files
	}
	out := make(map[string]File, len(files))
	for path, f := range Sorted(files) {
		f.Text, f.Content = string(f.Bytes()), nil
		out[path] = f
	}
	return out
}
