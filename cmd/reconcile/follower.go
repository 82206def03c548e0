package main

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// follower brings new plans to a running agent.
type follower struct {
	set  settings
	feed *feed
	host *host
	log  *slog.Logger

	mu    sync.Mutex // one read of the repository at a time; guards what follows
	agent *agent.Agent
	last  revision
	down  time.Time // since when the newest plan cannot be had
}

// firstPlan waits for a plan where there is none yet: a daemon that starts with
// its host must not give up because the repository is not reachable or empty yet,
// or because its newest commit waits to be mended.
func firstPlan(ctx context.Context, f *feed, set settings, log *slog.Logger) (revision, error) {
	for {
		rev, err := f.Newest(ctx, "")
		if err == nil {
			return rev, nil
		}
		log.Error("no plan yet", "err", err, "again", set.Repo.Interval.Std())
		if err := notify("READY=1\nSTATUS=no plan yet"); err != nil {
			log.Warn("service manager not told", "err", err)
		}
		select {
		case <-ctx.Done():
			return rev, context.Cause(ctx)
		case <-time.After(set.Repo.Interval.Std()):
		}
	}
}

// Fetch reads the repository now and hands a new plan to the agent. That the
// newest commit cannot be had, or is refused, is an error.
func (f *follower) Fetch(ctx context.Context) error {
	behind, err := f.read(ctx)
	return errors.Join(err, behind)
}

// read does the same, and tells apart why the accepted plan stays in force (which
// was logged when it began) from what went wrong with it.
func (f *follower) read(ctx context.Context) (behind, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	rev, err := f.feed.Newest(ctx, f.last.Commit.Hash)
	if err != nil {
		return nil, err
	}
	return rev.Behind, f.take(rev)
}

// take brings a revision into force. The caller holds mu, or is alone.
func (f *follower) take(rev revision) error {
	if rev.Behind != nil {
		if f.down.IsZero() {
			f.down = time.Now()
		}
		if f.last.Behind == nil || f.last.Behind.Error() != rev.Behind.Error() {
			f.log.Error("the accepted plan stays in force", "commit", rev.Commit.Short(), "err", rev.Behind)
		}
		if f.last.Plan == nil {
			f.agent.SetPlan(rev.Plan)
		} else {
			rev.Plan, rev.Commit = f.last.Plan, f.last.Commit
		}
		f.agent.SetSourceProblem(f.down, sourceProblem(rev.Behind))
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
	return accept(f.feed, f.host, f.agent, rev)
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
		if _, err := f.read(ctx); err != nil && ctx.Err() == nil {
			f.log.Error("repository unreadable", "err", err)
		}
	}
}
