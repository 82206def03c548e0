package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// watchEvery is the time between two pictures of status -w.
const watchEvery = time.Second

func (p *program) status() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "status [TENANT]",
		Short: "Show what runs, and why it is so",
		Long: `status shows each tenant: its state, active slot and generation, how many of its
services are well, and why it is so. It asks the daemon where one runs, and looks
at the host itself otherwise. It changes nothing.`,
		Example: `  reconcile status
  reconcile status acme -w
  reconcile status -o json | jq '.tenants[] | select(.state != "converged")'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage{errors.New("give at most one tenant")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := p.settings(cmd)
			if err != nil {
				return err
			}
			if watch {
				return p.watch(cmd.Context(), set, args)
			}
			s, err := p.statusOnce(cmd.Context(), set, args)
			if err != nil {
				return err
			}
			return p.showStatus(set, s)
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show it again as it changes, until interrupted")
	return cmd
}

func (p *program) statusOnce(ctx context.Context, set settings, tenant []string) (agent.Status, error) {
	t, done, err := p.ask(ctx, set)
	if err != nil {
		return agent.Status{}, err
	}
	defer done()
	s, err := t.Status(ctx, tenant...)
	if err != nil {
		return s, err
	}
	if len(tenant) > 0 && len(s.Tenants) == 0 {
		return s, noTenant(tenant[0])
	}
	return s, nil
}

// showStatus prints it; a blocked tenant is told by the exit code too.
func (p *program) showStatus(set settings, s agent.Status) error {
	if set.Output == "json" {
		if err := p.json(s); err != nil {
			return err
		}
	} else {
		writeStatus(p.stdout, s)
	}
	for _, t := range s.Tenants {
		if t.State == reconcile.HeldBack || t.Question != nil {
			return status(exitBlocked)
		}
	}
	return nil
}

func (p *program) watch(ctx context.Context, set settings, tenant []string) error {
	terminal := false
	if f, ok := p.stdout.(*os.File); ok {
		terminal = term.IsTerminal(int(f.Fd()))
	}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	last := ""
	for {
		s, err := p.statusOnce(ctx, set, tenant)
		if err != nil {
			return err
		}
		// Piped, a picture is printed when a tenant moved and not each second.
		now := ""
		for _, t := range s.Tenants {
			now += fmt.Sprintln(t.Name, t.State, t.Reason, t.Phase, t.ActiveSlot, t.Generation, services(t.Services), t.Why)
		}
		switch {
		case terminal && set.Output != "json":
			fmt.Fprint(p.stdout, "\x1b[H\x1b[2J")
			writeStatus(p.stdout, s)
		case now != last:
			if err := p.showStatus(set, s); err != nil && err != status(exitBlocked) {
				return err
			}
		}
		last = now
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
