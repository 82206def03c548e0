package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

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
		Args:              atMostOne("tenant"),
		ValidArgsFunction: p.completeTenant,
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
			if err := p.showStatus(set, s); err != nil {
				return err
			}
			return s.exit()
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show it again as it changes, until interrupted")
	return cmd
}

// statusResult is the node at a glance, as JSON.
type statusResult struct {
	agent.Status
	// Notes say what a person must know to read it.
	Notes []string `json:"notes,omitempty"`
}

// exit tells of a blocked tenant by the exit code.
func (s statusResult) exit() error {
	for _, t := range s.Tenants {
		if t.State == reconcile.HeldBack || t.Question != nil {
			return status(exitBlocked)
		}
	}
	if ask(s.Rollouts) {
		return status(exitBlocked)
	}
	return nil
}

// key is what has to differ for a picture to be worth another line.
func (s statusResult) key() string {
	var b strings.Builder
	for _, t := range s.Tenants {
		fmt.Fprintln(&b, t.Name, t.State, t.Reason, t.Phase, t.ActiveSlot, t.Generation, services(t.Services), t.Why)
	}
	return b.String()
}

func (p *program) statusOnce(ctx context.Context, set settings, tenant []string) (s statusResult, err error) {
	t, notes, done, err := p.ask(ctx, set)
	if err != nil {
		return s, err
	}
	defer done()
	s.Notes = notes
	if s.Status, err = t.Status(ctx, tenant...); err != nil {
		return s, err
	}
	if len(tenant) > 0 && len(s.Tenants) == 0 {
		return s, noTenant(tenant[0])
	}
	return s, nil
}

func (p *program) showStatus(set settings, s statusResult) error {
	if set.Output == "json" {
		return p.json(s)
	}
	writeStatus(p.stdout, s, width(p.stdout))
	return nil
}

// watch shows the status again as it changes: on a terminal in place, piped only
// when a tenant moved.
func (p *program) watch(ctx context.Context, set settings, tenant []string) error {
	columns := width(p.stdout)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for last := ""; ; {
		s, err := p.statusOnce(ctx, set, tenant)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		case columns > 0 && set.Output != "json":
			// Drawn whole, then shown at once: nothing flickers.
			var b bytes.Buffer
			b.WriteString("\x1b[H\x1b[2J")
			writeStatus(&b, s, columns)
			if _, err := b.WriteTo(p.stdout); err != nil {
				return err
			}
		case s.key() != last:
			if err := p.showStatus(set, s); err != nil {
				return err
			}
		}
		last = s.key()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
