package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
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

// follower brings new plans to a running agent.
type follower struct {
	p    *program
	set  settings
	feed *feed
	host *host
	log  *slog.Logger

	mu    sync.Mutex // one read of the repository at a time; guards what follows
	agent *agent.Agent
	last  revision
	down  time.Time // since when the newest plan cannot be had
}

func (p *program) daemon(ctx context.Context, set settings) error {
	if c, ok := dial(ctx, set); ok {
		c.Close()
		return observed.Wrap("start daemon", set.State, observed.Refused, errors.New("a daemon runs on this state directory already"), "`reconcile status` asks it")
	}
	log := p.daemonLogger()
	feed, err := newFeed(set)
	if err != nil {
		return err
	}
	rev, err := firstPlan(ctx, feed, set, log)
	if err != nil {
		return err
	}
	h, err := openHost(ctx, set, rev.Plan, hostOptions{Serve: true, Socket: set.under(agent.SocketName), Log: log})
	if err != nil {
		return err
	}
	defer h.Close()
	f := &follower{p: p, set: set, feed: feed, host: h, log: log}
	h.config.Fetch = f.Fetch
	if f.agent, err = agent.New(h.config); err != nil {
		return err
	}
	if err := f.take(rev); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return f.agent.Run(ctx) })
	g.Go(func() error { return f.agent.Serve(ctx, set.State) })
	g.Go(func() error { return f.poll(ctx) })
	if set.Listen != "" {
		g.Go(func() error { return serve(ctx, set.Listen, f.agent.Public()) })
	}
	return g.Wait()
}

// firstPlan waits for a plan where there is none yet: a daemon that starts with
// its host must not give up because the repository is not reachable yet.
func firstPlan(ctx context.Context, f *feed, set settings, log *slog.Logger) (revision, error) {
	for {
		rev, err := f.Newest(ctx, "")
		if err == nil || observed.ClassOf(err) != observed.Environment {
			return rev, err
		}
		log.Error("no plan yet", "err", err, "again", set.Repo.Interval.Std())
		select {
		case <-ctx.Done():
			return rev, context.Cause(ctx)
		case <-time.After(set.Repo.Interval.Std()):
		}
	}
}

// Fetch reads the repository now and hands a new plan to the agent.
func (f *follower) Fetch(ctx context.Context) error {
	f.mu.Lock()
	rev, err := f.feed.Newest(ctx, f.last.Commit.Hash)
	f.mu.Unlock()
	if err != nil {
		return err
	}
	if err := f.take(rev); err != nil {
		return err
	}
	return rev.Behind
}

func (f *follower) take(rev revision) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if rev.Behind != nil {
		if f.down.IsZero() {
			f.down = time.Now()
		}
		if f.last.Behind == nil || f.last.Behind.Error() != rev.Behind.Error() {
			f.log.Error("the accepted plan stays in force", "commit", rev.Commit.Short(), "err", rev.Behind)
		}
		f.agent.SetSourceProblem(f.down, sourceProblem(rev.Behind))
		if f.last.Plan == nil {
			f.host.setPlan(rev.Plan)
			f.agent.SetPlan(rev.Plan)
		}
		if f.last.Plan != nil {
			rev.Plan, rev.Commit = f.last.Plan, f.last.Commit
		}
		f.last = rev
		return nil
	}
	if !f.down.IsZero() {
		f.log.Info("the newest plan is in force again", "commit", rev.Commit.Short(), "after", stale(f.down, time.Now()))
	}
	f.down = time.Time{}
	f.agent.SetSourceProblem(time.Time{}, nil)
	if f.last.Plan != nil && rev.Commit.Hash != "" && rev.Commit.Hash == f.last.Commit.Hash {
		f.last = rev
		return nil
	}
	if rev.Commit.Hash != "" {
		f.log.Info("plan accepted", "commit", rev.Commit.Short(), "author", rev.Commit.Author, "subject", rev.Commit.Subject, "tenants", len(rev.Plan.Tenants))
	}
	f.last = rev
	return f.p.accept(f.feed, f.host, f.agent, rev)
}

// poll looks at the repository at its interval, on SIGHUP at once.
func (f *follower) poll(ctx context.Context) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		// Up to a tenth more, so that a fleet does not ask all at once.
		every := f.set.Repo.Interval.Std()
		wait := time.NewTimer(every + time.Duration(rand.Float64()*float64(every)/10))
		select {
		case <-ctx.Done():
			wait.Stop()
			return context.Cause(ctx)
		case <-hup:
			f.agent.Refresh()
		case <-wait.C:
		}
		wait.Stop()
		if err := f.Fetch(ctx); err != nil && ctx.Err() == nil && observed.ClassOf(err) != observed.Environment {
			var bad refusedPlan
			if !errors.As(err, &bad) {
				f.log.Error("read repository", "err", err)
			}
		}
	}
}

// daemonLogger writes to stderr, which is the service manager's to keep.
func (p *program) daemonLogger() *slog.Logger {
	level := slog.LevelInfo
	if s := p.env("RECONCILE_LOG"); s != "" {
		if err := level.UnmarshalText([]byte(s)); err != nil {
			level = slog.LevelInfo
		}
	}
	return slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: level}))
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
