package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"

	"github.com/hashicorp/go-multierror"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/probe"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// host is this machine as reconcile drives it: the journal, the drivers and the
// agent over them.
type host struct {
	store   journal.Store
	config  agent.Config
	closers []io.Closer
	// notes say what a person must know to read what a look shows.
	notes []string
}

// hostOptions is what differs between verbs that act.
type hostOptions struct {
	Socket   string // of the daemon, "" for one pass
	Log      *slog.Logger
	Progress func(agent.Progress)
}

// openHost takes the state directory, starts the proxy if none answers, and
// makes the drivers that the plan and the configuration name.
func openHost(ctx context.Context, set settings, plan *plans.Plan, o hostOptions) (*host, error) {
	store, err := journal.Open(journal.Options{
		Dir: set.State, Socket: o.Socket, RunDir: journal.DefaultRunDir(), Fleet: plan.Fleet, Node: set.Node,
	})
	if err != nil {
		return nil, denied("open state", set.State, err)
	}
	h := &host{store: store}
	h.config.Dir, h.config.Log, h.config.Progress = set.State, o.Log, o.Progress
	if set.ownsProxy() {
		if _, err := startProxy(ctx, set); err != nil {
			return nil, errors.Join(err, h.Close())
		}
	}
	if err := h.assemble(set, plan, store.Controller()); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// lookHost makes the same to look at, and never to act: it takes no lock, starts
// nothing, and writes nothing below the state directory. set must be scratched.
func lookHost(set settings, plan *plans.Plan, log *slog.Logger) (*host, error) {
	h := &host{}
	h.config.Dir, h.config.Log = set.scratch, log
	controller := ""
	snap, err := journal.OpenSnapshot(set.State)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		h.store = journal.NewMemory()
		h.config.Host = elsewhere{}
		h.notes = append(h.notes, fmt.Sprintf("nothing was ever run from %s here, so everything of node %s is taken as new", set.State, set.Node))
	case err != nil:
		return nil, denied("look at state", set.State, err)
	default:
		h.store, controller = snap, snap.Controller()
		if held := journal.HeldBy(set.State); held != nil {
			h.notes = append(h.notes, fmt.Sprintf("process %d is at work on this host since %s: what is shown may move", held.PID, held.Since.Local().Format("15:04:05")))
		}
	}
	// Kept inputs are read where they are; a key that is made now is not kept.
	if _, err := os.Stat(set.at("inputs")); err == nil {
		if err := os.Symlink(set.at("inputs"), set.inScratch("inputs")); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, errors.Join(err, h.Close())
		}
	}
	if err := h.assemble(set, plan, controller); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// assemble makes the drivers.
func (h *host) assemble(set settings, plan *plans.Plan, controller string) (err error) {
	from, to, err := set.PortRange()
	if err != nil {
		return usage{error: err}
	}
	owner := drivers.Owner{Fleet: plan.Fleet, Node: set.Node, Controller: controller}
	c := &h.config
	c.Owner, c.Store, c.Ports, c.Parallel = owner, h.store, agent.PortRange{From: from, To: to}, set.Parallel
	if c.KeepFree, err = set.KeepFreeBytes(); err != nil {
		return usage{error: err}
	}
	if c.KeepFree == 0 {
		c.KeepFree = -1 // none, by the host's word
	}
	c.AllowLocal, c.Notices = set.AllowLocal, set.notices
	c.Runtimes, c.DefaultRuntime = map[string]drivers.Runtime{}, set.defaultRuntime()
	for _, name := range set.runtimes(plan) {
		rt, err := openRuntime(name, set, owner, c.KeepFree, c.Log)
		if err != nil {
			return denied("open runtime", name, err)
		}
		c.Runtimes[name] = rt
		h.closers = append(h.closers, rt)
	}
	if c.Storages, err = set.storages(owner); err != nil {
		return err
	}
	c.DefaultStorage = "dir"
	if c.Router, err = openRouter(set, owner); err != nil {
		return err
	}
	runtimes := c.Runtimes
	c.Prober = probe.New(func(name string) (drivers.Runtime, error) {
		name = cmp.Or(name, c.DefaultRuntime)
		if rt, ok := runtimes[name]; ok {
			return rt, nil
		}
		return nil, fmt.Errorf("no runtime %q on this host", name)
	})
	return nil
}

// Close gives the state directory back. What runs goes on running.
func (h *host) Close() error {
	var errs *multierror.Error
	for _, c := range slices.Backward(h.closers) {
		if err := c.Close(); err != nil {
			errs = multierror.Append(errs, err)
		}
	}
	if err := h.store.Close(); err != nil {
		errs = multierror.Append(errs, err)
	}
	return errs.ErrorOrNil()
}

// elsewhere is a machine that is not the node it asks about: its host files and
// ports say nothing.
type elsewhere struct{}

func (elsewhere) PortOwner(int) string            { return "" }
func (elsewhere) ReadFile(string) ([]byte, error) { return nil, nil }

// denied says what to do about a state directory that is not ours to open.
func denied(op, ref string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return observed.Wrap(op, ref, observed.Refused, err, "run it as the user who owns the state directory (root, mostly), or choose another with --state")
}
