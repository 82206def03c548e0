package process

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// defaultPath is where programs are looked for if neither image nor plan says so.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// unsupported refuses by name what a plan asks for and this runtime cannot do.
// Preflight says the same before anything starts. A network that is not named
// is the host's.
func unsupported(want plans.Instance) error {
	s := want.Spec
	var field string
	switch {
	case s.Network == "own":
		field = "network: own"
	case len(s.Publish) > 0:
		field = "publish"
	case s.Resources != (plans.Resources{}):
		field = "resources"
	case len(s.Capabilities) > 0:
		field = "capabilities"
	case s.Privileged:
		field = "privileged"
	default:
		return nil
	}
	return problem("start", want.Key.String(), observed.Refused, "use the docker runtime for this tenant, or leave the field out",
		"the process runtime cannot honour %s", field)
}

// compose turns an order into what is written down for the shim.
func (r *Runtime) compose(want plans.Instance, copied bool) (*order, error) {
	ref := want.Key.String()
	refuse := func(err error) error { return observed.Wrap("start", ref, observed.Refused, err, "") }
	if _, err := dirName(want.Key); err != nil {
		return nil, refuse(err)
	}
	digest, err := digestOf(want.Spec.Image)
	if err != nil {
		return nil, refuse(err)
	}
	img, err := r.image(digest)
	if errors.Is(err, os.ErrNotExist) {
		return nil, problem("start", ref, observed.Refused, "pull it first", "the image %s is not on this host", want.Spec.Image)
	}
	if err != nil {
		return nil, observed.Wrap("start", ref, observed.Environment, err, "")
	}
	s, c := want.Spec, img.Config
	out := &order{
		Fleet: r.cfg.Owner.Fleet, Node: r.cfg.Owner.Node, Key: want.Key, ID: newID(),
		Digest: want.Digest, Generation: want.Generation, Attempt: want.Attempt, Commit: want.Commit,
		Image: digest, Ports: want.Ports, Job: s.Job != nil, Created: time.Now().UTC(),
		Run: run{
			Lower: img.root(), Copied: copied, Restart: s.Restart, LogBytes: r.limits.LogBytes,
			StopTimeout: cmp.Or(s.StopTimeout, plans.DefaultStopLimit).Std(),
			Hostname:    hostname(want.Key), Args: args(s, c), Dir: workdir(s, c), Mapped: !r.rooted,
		},
	}
	if len(out.Run.Args) == 0 {
		return nil, refuse(errors.New("neither the image nor the service names a command"))
	}
	home, err := r.user(&out.Run, cmp.Or(s.User, c.User))
	if err != nil {
		return nil, refuse(err)
	}
	if out.Run.StopSignal, err = stopSignal(cmp.Or(s.StopSignal, c.StopSignal)); err != nil {
		return nil, refuse(err)
	}
	if out.Run.Env, out.Inputs, err = r.environ(want, c.Env, out.Run.Hostname, home); err != nil {
		return nil, refuse(err)
	}
	if out.Run.Binds, err = binds(want.Volumes); err != nil {
		return nil, refuse(err)
	}
	if out.Run.Files, err = files(s.Files, out.Run.Binds); err != nil {
		return nil, refuse(err)
	}
	if out.Run.Tmpfs, err = tmpfsList(s.Tmpfs); err != nil {
		return nil, refuse(err)
	}
	if s.Health != nil && s.Health.Image {
		if out.Run.Health, err = healthOf(c.Healthcheck); err != nil {
			return nil, refuse(err)
		}
	}
	return out, nil
}

// args is the command line: a command replaces the image's entrypoint and its
// default arguments, arguments alone replace only the latter.
func args(s plans.Service, c v1.Config) []string {
	switch {
	case len(s.Command) > 0:
		return slices.Concat(s.Command, s.Args)
	case len(s.Args) > 0:
		return slices.Concat(c.Entrypoint, s.Args)
	}
	return slices.Concat(c.Entrypoint, c.Cmd)
}

func workdir(s plans.Service, c v1.Config) string {
	return path.Join("/", cmp.Or(s.Workdir, c.WorkingDir))
}

// hostname fits into the 64 bytes the kernel has for it.
func hostname(k plans.Key) string {
	name := k.Service + "-" + string(k.Slot) + "-" + k.Tenant
	return strings.TrimRight(name[:min(len(name), 63)], "-")
}

func stopSignal(name string) (int, error) {
	if name == "" {
		return int(unix.SIGTERM), nil
	}
	if n, err := strconv.Atoi(name); err == nil && n > 0 && n < 65 {
		return n, nil
	}
	upper := strings.ToUpper(name)
	if !strings.HasPrefix(upper, "SIG") {
		upper = "SIG" + upper
	}
	if n := unix.SignalNum(upper); n != 0 {
		return int(n), nil
	}
	return 0, fmt.Errorf("%q is no signal", name)
}

// environ is the environment: the image's, then what we give (PORT and the
// like), then the plan's files, then the plan's own words.
func (r *Runtime) environ(want plans.Instance, image []string, hostname, home string) (list []string, inputs string, err error) {
	env := map[string]string{"PATH": defaultPath, "HOME": home, "HOSTNAME": hostname}
	for _, kv := range image {
		if name, value, ok := strings.Cut(kv, "="); ok {
			env[name] = value
		}
	}
	for _, ports := range []map[string]int{want.Beside, want.Ports} {
		for name, port := range ports {
			env["PORT_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = strconv.Itoa(port)
			if name == "http" || len(ports) == 1 {
				env["PORT"] = strconv.Itoa(port)
			}
		}
	}
	if inputs, err = r.inputs(env, want.Spec.EnvFrom); err != nil {
		return nil, "", err
	}
	maps.Copy(env, want.Spec.Env)
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list, inputs, nil
}

// binds are sorted so that an outer one is mounted before one within it.
func binds(volumes map[string]plans.Bind) ([]bind, error) {
	var out []bind
	for _, inside := range slices.Sorted(maps.Keys(volumes)) {
		if !path.IsAbs(inside) || path.Clean(inside) == "/" {
			return nil, fmt.Errorf("mount %q: not an absolute path below /", inside)
		}
		v := volumes[inside]
		if _, err := os.Stat(v.Host); err != nil {
			return nil, fmt.Errorf("mount %s: %w", inside, err)
		}
		out = append(out, bind{Path: inside, Host: v.Host, ReadOnly: v.ReadOnly})
	}
	return out, nil
}

// files are placed in the instance's own layer, so they cannot be in a volume.
func files(want map[string]plans.File, binds []bind) ([]placed, error) {
	var out []placed
	for _, p := range slices.Sorted(maps.Keys(want)) {
		f := want[p]
		if !path.IsAbs(p) || path.Clean(p) == "/" {
			return nil, fmt.Errorf("file %q: not an absolute path below /", p)
		}
		for _, b := range binds {
			if strings.HasPrefix(path.Clean(p)+"/", path.Clean(b.Path)+"/") {
				return nil, fmt.Errorf("file %s: it lies in the volume mounted at %s", p, b.Path)
			}
		}
		mode := uint64(0o444)
		if f.Mode != "" {
			var err error
			if mode, err = strconv.ParseUint(f.Mode, 8, 12); err != nil {
				return nil, fmt.Errorf("file %s: %q is no octal mode", p, f.Mode)
			}
		}
		out = append(out, placed{Path: path.Clean(p), Mode: uint32(mode) & 0o777, Text: f.Text})
	}
	return out, nil
}

// tmpfsList reads "/path" or "/path:size=64m,mode=0700".
func tmpfsList(want []string) ([]tmpfs, error) {
	var out []tmpfs
	for _, t := range slices.Sorted(slices.Values(want)) {
		p, options, _ := strings.Cut(t, ":")
		if !path.IsAbs(p) || path.Clean(p) == "/" {
			return nil, fmt.Errorf("tmpfs %q: not an absolute path below /", t)
		}
		data := "mode=1777"
		for o := range strings.SplitSeq(options, ",") {
			name, _, _ := strings.Cut(o, "=")
			switch name {
			case "":
			case "size", "mode", "nr_inodes":
				data += "," + o // the last of a name counts
			default:
				return nil, fmt.Errorf("tmpfs %q: of options only size, mode and nr_inodes are known", t)
			}
		}
		out = append(out, tmpfs{Path: path.Clean(p), Data: data})
	}
	return out, nil
}

// healthOf fills in Docker's defaults.
func healthOf(h *v1.HealthConfig) (*imageHealth, error) {
	if h == nil || len(h.Test) == 0 || h.Test[0] == "NONE" {
		return nil, errors.New("health: image, but the image has no healthcheck")
	}
	out := &imageHealth{Interval: h.Interval, Timeout: h.Timeout, Start: h.StartPeriod, Retries: h.Retries}
	switch h.Test[0] {
	case "CMD":
		out.Command = h.Test[1:]
	case "CMD-SHELL":
		out.Command = append([]string{"/bin/sh", "-c"}, h.Test[1:]...)
	default:
		return nil, fmt.Errorf("the image's healthcheck is of unknown kind %q", h.Test[0])
	}
	if out.Interval <= 0 {
		out.Interval = 30 * time.Second
	}
	if out.Timeout <= 0 {
		out.Timeout = 30 * time.Second
	}
	if out.Retries <= 0 {
		out.Retries = 3
	}
	return out, nil
}
