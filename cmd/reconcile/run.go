package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

func (p *program) run() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Follow the repository and keep the host as it says, for good",
		Long: `run is the daemon: it polls the repository, converges, repairs what drifts, and
answers the other verbs over a socket in the state directory. SIGHUP and
` + "`reconcile nudge`" + ` make it look at once; SIGTERM ends it, and everything it
started goes on running. With listen set it serves /healthz, /metrics and
/api/status there, to whoever can reach that address.`,
		Example: `  reconcile run --config /etc/reconcile/config.yaml
  reconcile run --repo /srv/plans.git --state /var/lib/reconcile --listen 127.0.0.1:9464`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := p.settings(cmd)
			if err != nil {
				return err
			}
			err = p.daemon(cmd.Context(), set)
			if errors.Is(context.Cause(cmd.Context()), errInterrupted) && (err == nil || errors.Is(err, errInterrupted)) {
				return nil // told to end, and ended
			}
			return err
		},
	}
}

func (p *program) daemon(ctx context.Context, set settings) error {
	if c, ok := dial(ctx, set); ok {
		c.Close()
		return observed.Wrap("start daemon", set.State, observed.Refused, errors.New("a daemon runs on this state directory already"), "`reconcile status` asks it")
	}
	growSlowly()
	log := p.daemonLogger()
	feed, err := newFeed(set, set.at(cloneDir))
	if err != nil {
		return denied("open state", set.State, err)
	}
	rev, err := firstPlan(ctx, feed, set, log)
	if err != nil {
		return err
	}
	h, err := openHost(ctx, set, rev.Plan, hostOptions{Socket: set.at(agent.SocketName), Log: log})
	if err != nil {
		return err
	}
	defer h.Close()
	f := &follower{set: set, feed: feed, host: h, log: log}
	h.config.Fetch = f.Fetch
	if f.agent, err = agent.New(h.config); err != nil {
		return err
	}
	if err := f.take(rev); err != nil {
		return err
	}
	if err := notify("READY=1\nSTATUS=commit " + rev.Commit.Short()); err != nil {
		log.Warn("service manager not told", "err", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return f.agent.Run(ctx) })
	g.Go(func() error { return f.agent.Serve(ctx, set.State) })
	g.Go(func() error { return f.poll(ctx) })
	g.Go(func() error { return giveBack(ctx, h.store, log) })
	if set.ownsProxy() {
		g.Go(func() error { return keepProxy(ctx, set, log, f.agent.Refresh) })
	}
	if set.Listen != "" {
		g.Go(func() error { return serve(ctx, set.Listen, f.agent.Public()) })
	}
	return g.Wait()
}

// serve answers HTTP on addr until ctx ends.
func serve(ctx context.Context, addr string, h http.Handler) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return observed.Wrap("listen", addr, observed.Refused, err, "choose another address with --listen")
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", addr, err)
	}
	return context.Cause(ctx)
}
