package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Start implements drivers.Runtime.
func (r *Runtime) Start(ctx context.Context, _ string, want plans.Instance) error {
	defer r.key(want.Key)()
	if err := unsupported(want); err != nil {
		return err
	}
	have, err := r.find(want.Key)
	if err != nil {
		return err
	}
	if have == nil {
		return r.create(ctx, want)
	}
	if err := have.matches(want); err != nil {
		return err
	}
	return r.again(ctx, want, have)
}

// matches says whether what exists is what is wanted.
func (o *order) matches(want plans.Instance) error {
	var why string
	switch {
	case o.Digest != want.Digest:
		why = fmt.Sprintf("with service digest %s, not %s", o.Digest, want.Digest)
	case o.Generation != want.Generation:
		why = fmt.Sprintf("with generation %s, not %s", o.Generation, want.Generation)
	case o.Job && o.Attempt != want.Attempt:
		why = fmt.Sprintf("from attempt %s, not %s", o.Attempt, want.Attempt)
	case !maps.Equal(o.Ports, want.Ports):
		why = "with other ports"
	case !sameBinds(o.Run.Binds, want.Volumes):
		why = "with other volumes"
	default:
		return nil
	}
	return problem("start", want.Key.String(), observed.Conflict, "", "it exists %s", why)
}

func sameBinds(have []bind, want map[string]plans.Bind) bool {
	if len(have) != len(want) {
		return false
	}
	for _, b := range have {
		if w, ok := want[b.Path]; !ok || w != (plans.Bind{Host: b.Host, ReadOnly: b.ReadOnly}) {
			return false
		}
	}
	return true
}

// create makes the instance aside, with its lock held from the first moment,
// puts it in place, and starts it.
func (r *Runtime) create(ctx context.Context, want plans.Instance) error {
	ref := want.Key.String()
	mode, err := r.probe(ctx)
	if err != nil {
		return err
	}
	r.images.RLock()
	defer r.images.RUnlock()
	o, err := r.compose(want, r.cfg.Copy || mode == probeCopy)
	if err != nil {
		return err
	}
	aside, err := r.aside("instance")
	if err != nil {
		return environment("start", want.Key, err)
	}
	lock, err := r.build(aside, o, want.Routed)
	if err != nil {
		_ = removeTree(aside)
		return observed.Wrap("start", ref, observed.Environment, err, "")
	}
	defer lock.Close()
	dir := r.dir(want.Key)
	if err := errors.Join(os.Rename(aside, dir), syncDir(filepath.Dir(dir))); err != nil {
		_ = removeTree(aside)
		if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) {
			return problem("start", ref, observed.Conflict, "", "another process made it just now")
		}
		return observed.Wrap("start", ref, observed.Environment, err, "")
	}
	return r.launch(ctx, want.Key, o, lock)
}

// build fills the directory of a new instance.
func (r *Runtime) build(dir string, o *order, routed bool) (*os.File, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	lower := r.path(rootsDir, o.Run.Lower)
	if o.Run.Copied {
		if err := copyTree(lower, filepath.Join(dir, rootDir)); err != nil {
			return nil, fmt.Errorf("copy root: %w", err)
		}
	} else {
		for _, d := range []string{rootDir, upperDir, workDir} {
			if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
				return nil, err
			}
		}
		// The root of an overlay looks like its upper directory.
		if err := copyMeta(lower, filepath.Join(dir, upperDir)); err != nil {
			return nil, err
		}
	}
	if routed {
		if err := setRouted(dir, true); err != nil {
			return nil, err
		}
	}
	if err := writeJSON(filepath.Join(dir, orderFile), o); err != nil {
		return nil, err
	}
	return takeLock(filepath.Join(dir, lockFile))
}

// again starts an instance that exists, unless it runs, or is a job that did.
func (r *Runtime) again(ctx context.Context, want plans.Instance, o *order) error {
	dir, ref := r.dir(want.Key), want.Key.String()
	if err := setRouted(dir, want.Routed); err != nil {
		return environment("start", want.Key, err)
	}
	for {
		seen, err := r.look(want.Key)
		if err != nil {
			return err
		}
		if seen == nil {
			return problem("start", ref, observed.Conflict, "", "another process removed it just now")
		}
		started, err := exists(filepath.Join(dir, stateFile))
		if err != nil {
			return environment("start", want.Key, err)
		}
		stopping, err := r.stopping(dir)
		if err != nil {
			return environment("start", want.Key, err)
		}
		if o.Job && started || (seen.Phase == observed.Running || seen.Restarting) && !stopping {
			return nil
		}
		lock, err := takeLock(filepath.Join(dir, lockFile))
		if err == nil {
			defer lock.Close()
			return r.launch(ctx, want.Key, o, lock)
		}
		if !errors.Is(err, errLocked) {
			return environment("start", want.Key, err)
		}
		// On its way up or down: the next look knows.
		select {
		case <-ctx.Done():
			return late(ctx, "start", ref)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// stopping says that an instance is about to end by an order of somebody who may
// not be there any more.
func (r *Runtime) stopping(dir string) (bool, error) {
	var st state
	if err := readJSON(filepath.Join(dir, stateFile), &st); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return st.Stopping && st.Phase != phaseExited, nil
}

// launch starts the shim of an instance, which inherits its lock, and waits
// until the command runs.
func (r *Runtime) launch(ctx context.Context, key plans.Key, o *order, lock *os.File) error {
	ref := key.String()
	dir, err := os.Open(r.dir(key))
	if err != nil {
		return environment("start", key, err)
	}
	defer dir.Close()
	word, err := r.shim(ctx, []string{shimRun, ref, r.cfg.Root}, o.Run.ids(), dir, lock)
	switch {
	case err != nil:
		if ctx.Err() != nil {
			return late(ctx, "start", ref)
		}
		return observed.Wrap("start", ref, observed.Environment, err, "")
	case word == readyWord:
		return nil
	}
	if why, ok := strings.CutPrefix(word, refusedWord); ok {
		return problem("start", ref, observed.Refused, "look at the image's entrypoint and the service's command", "%s", why)
	}
	return problem("start", ref, observed.Environment, "see "+shimLog+" in "+r.dir(key), "%s", cmp.Or(word, "the shim ended"))
}

// shimCaps are what a shim needs in its user namespace to set an instance up
// and look after it. Root has them there by itself; any other id, which a shim
// has where its command shall have it, would lose them by being executed.
var shimCaps = []uintptr{
	unix.CAP_SYS_ADMIN, unix.CAP_SYS_CHROOT, unix.CAP_SYS_PTRACE, unix.CAP_SETPCAP, unix.CAP_KILL,
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH, unix.CAP_FOWNER, unix.CAP_FSETID,
}

// ids says which ids a shim and its command have, inside and outside.
type ids struct{ uid, gid int }

func (c run) ids() ids {
	if c.Mapped {
		return ids{c.UID, c.GID}
	}
	return ids{}
}

// shim executes this program again as a shim in new namespaces, and returns
// what it says on its ready file before it closes it.
func (r *Runtime) shim(ctx context.Context, args []string, id ids, dir, lock *os.File) (string, error) {
	said, err := os.OpenFile(filepath.Join(dir.Name(), shimLog), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	defer said.Close()
	in, out, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer in.Close()
	uids, err := r.mapping("uid", id.uid)
	if err != nil {
		return "", errors.Join(err, out.Close())
	}
	gids, err := r.mapping("gid", id.gid)
	if err != nil {
		return "", errors.Join(err, out.Close())
	}
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: append([]string{shimName}, args...), Dir: "/",
		// Nothing of our environment, which may hold secrets, is theirs to see.
		Env:        []string{"GOMAXPROCS=2", "GOTRACEBACK=single"},
		Stderr:     said,
		ExtraFiles: []*os.File{dir, lock, out},
		SysProcAttr: &syscall.SysProcAttr{
			Setsid: true,
			Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID |
				syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
			UidMappings: uids, GidMappings: gids, GidMappingsEnableSetgroups: r.rooted,
		},
	}
	if id.uid != 0 {
		cmd.SysProcAttr.AmbientCaps = shimCaps
	}
	err = cmd.Start()
	out.Close()
	if err != nil {
		return "", fmt.Errorf("make namespaces: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is on disk
		close(ended)
	}()
	stop := context.AfterFunc(ctx, func() { in.Close() })
	defer stop()
	word, err := io.ReadAll(in)
	if err == nil && string(word) != readyWord {
		select { // whoever is told that it failed shall find nothing of it running
		case <-ended:
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	return string(word), err
}

// mapping is the user namespace's map: all ids we have onto themselves as
// root; else our one id onto the one the command shall have.
func (r *Runtime) mapping(kind string, inside int) ([]syscall.SysProcIDMap, error) {
	if !r.rooted {
		outside := os.Geteuid()
		if kind == "gid" {
			outside = os.Getegid()
		}
		return []syscall.SysProcIDMap{{ContainerID: inside, HostID: outside, Size: 1}}, nil
	}
	data, err := os.ReadFile("/proc/self/" + kind + "_map")
	if err != nil {
		return nil, err
	}
	var out []syscall.SysProcIDMap
	for line := range strings.Lines(string(data)) {
		var first, host, size int
		if _, err := fmt.Sscan(line, &first, &host, &size); err != nil {
			return nil, fmt.Errorf("read %s map %q: %w", kind, line, err)
		}
		out = append(out, syscall.SysProcIDMap{ContainerID: first, HostID: first, Size: size})
	}
	return out, nil
}

// probe finds out, once, whether this host allows what an instance needs, and
// whether overlayfs is among it.
func (r *Runtime) probe(ctx context.Context) (string, error) {
	r.mu.Lock()
	mode := r.mode
	r.mu.Unlock()
	if mode != "" {
		return mode, nil
	}
	const hint = "instances need user namespaces; look at user.max_user_namespaces, kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns"
	name, err := r.aside("probe")
	if err == nil {
		err = os.Mkdir(name, 0o700)
	}
	if err != nil {
		return "", observed.Wrap("probe", name, observed.Environment, err, "")
	}
	defer removeTree(name)
	dir, err := os.Open(name)
	if err != nil {
		return "", observed.Wrap("probe", name, observed.Environment, err, "")
	}
	defer dir.Close()
	mode, err = r.shim(ctx, []string{shimProbe, "", name}, ids{}, dir, dir)
	if err != nil {
		if ctx.Err() != nil {
			return "", late(ctx, "probe", name)
		}
		return "", observed.Wrap("probe", "namespaces", observed.Environment, err, hint)
	}
	if mode != probeOverlay && mode != probeCopy {
		return "", problem("probe", "namespaces", observed.Environment, hint, "%s", mode)
	}
	r.log.Info("probed", "layer", mode)
	r.mu.Lock()
	r.mode = mode
	r.mu.Unlock()
	return mode, nil
}
