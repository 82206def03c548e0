package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/sim/fleet"
)

// simulating is what is assumed, as it is typed.
type simulating struct {
	fail, late, within, ready, begin string
	seeds                            int
	first                            uint64
}

func (p *program) simulate() *cobra.Command {
	var s simulating
	cmd := &cobra.Command{
		Use:   "simulate --plans DIR --fail SHARE",
		Short: "Play how a change would spread by your policies if versions fail",
		Long: `simulate plays a change of every template over its tenants, by the BatchPolicies of
the plan and the very machine that decides on a host, in virtual time: each run with
other luck. It says how long a rollout takes, how likely its breaker trips, and how
many tenants are broken at once at worst, so that a policy can be chosen before the
night it is needed. It needs no host and changes nothing.

--fail is the share of tenants the new version fails on. Half of these (--late) pass
their probes and fail only once they serve, some time within --within. A version
takes about --ready to start. The same flags give the same result.`,
		Example: `  reconcile simulate --plans . --fail 2%
  reconcile simulate --plans . --fail 10% --late 100% --seeds 1000
  reconcile simulate --plans . --fail 5% -o json | jq '.waves[] | {policy, broken}'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := p.settings(cmd)
			if err != nil {
				return err
			}
			o, err := s.options()
			if err != nil {
				return err
			}
			// A policy is chosen for all nodes, whatever this machine is.
			if !cmd.Flags().Changed("node") {
				set.Node = ""
			}
			return p.play(cmd.Context(), set, o)
		},
	}
	cmd.Flags().StringVar(&s.fail, "fail", "2%", "share of tenants that the new version fails on")
	cmd.Flags().StringVar(&s.late, "late", "50%", "share of these that fail only once they serve")
	cmd.Flags().StringVar(&s.within, "within", plans.Duration(fleet.DefaultShowWithin).String(), "how long after the switch they show it")
	cmd.Flags().StringVar(&s.ready, "ready", plans.Duration(fleet.DefaultReady).String(), "usual time until a new version has proved itself")
	cmd.Flags().StringVar(&s.begin, "begin", "", "time of the commit, such as 2026-03-14T22:00:00Z, for policies with windows")
	cmd.Flags().IntVar(&s.seeds, "seeds", fleet.DefaultSeeds, "how many runs")
	cmd.Flags().Uint64Var(&s.first, "seed", 0, "the first of them")
	return cmd
}

// options reads what was typed.
func (s simulating) options() (o fleet.Options, err error) {
	o.Seeds, o.First = s.seeds, s.first
	if s.seeds < 1 {
		return o, usage{error: fmt.Errorf("--seeds: %d is no number of runs of at least 1", s.seeds)}
	}
	if o.Fail, err = share(s.fail); err != nil {
		return o, usage{error: fmt.Errorf("--fail: %w", err)}
	}
	if o.Serving, err = share(s.late); err != nil {
		return o, usage{error: fmt.Errorf("--late: %w", err)}
	}
	if o.Serving == 0 {
		o.Serving = -1 // none; 0 is the default there
	}
	for flag, d := range map[string]struct {
		text string
		into *time.Duration
	}{"--within": {s.within, &o.ShowWithin}, "--ready": {s.ready, &o.Ready}} {
		v, err := plans.ParseDuration(d.text)
		if err != nil || v.Std() <= 0 {
			return o, usage{error: errors.Join(fmt.Errorf("%s: %q is no duration above 0, such as 10s", flag, d.text), err)}
		}
		*d.into = v.Std()
	}
	if s.begin != "" {
		if o.Begin, err = time.Parse(time.RFC3339, s.begin); err != nil {
			return o, usage{error: fmt.Errorf("--begin: %q is no time such as 2026-03-14T22:00:00Z", s.begin)}
		}
	}
	return o, nil
}

// share reads "2%" or "0.02".
func share(text string) (float64, error) {
	number, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 1) {
		return 0, fmt.Errorf("%q is no share, such as 2%% or 0.02", text)
	}
	return v, nil
}

func (p *program) play(ctx context.Context, set settings, o fleet.Options) error {
	set, clean, err := set.scratched()
	if err != nil {
		return err
	}
	defer clean()
	rev, err := p.tip(ctx, set)
	if err != nil {
		return err
	}
	erase := func() {}
	if width(p.stderr) > 0 {
		begun := time.Now()
		o.Progress = func(done, of int) {
			if time.Since(begun) > patient {
				fmt.Fprintf(p.stderr, "\rplayed %d of %d runs", done, of)
			}
		}
		erase = func() { fmt.Fprint(p.stderr, "\r\x1b[K") }
	}
	type played struct {
		fleet.Result
		err error
	}
	end := make(chan played, 1)
	go func() {
		r, err := fleet.Play(rev.Plan, o)
		end <- played{r, err}
	}()
	var r played
	select {
	case <-ctx.Done():
		erase()
		return context.Cause(ctx)
	case r = <-end:
		erase()
	}
	if r.err != nil {
		return observed.Wrap("simulate", "", observed.Refused, r.err, "`reconcile validate` says what is in the plan; docs/simulator.md what can be played")
	}
	if set.Output == "json" {
		return p.json(r.Result)
	}
	writeSimulation(p.stdout, r.Result)
	return nil
}
