package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

func (p *program) rolloutWatch() *cobra.Command {
	return &cobra.Command{
		Use:   "watch ID",
		Short: "Follow one rollout until it is closed",
		Long: `watch shows a rollout as it goes, until it is closed: on a terminal the picture of
` + "`rollout show`" + ` drawn again in place, with who is where and what is waited for;
elsewhere a line whenever something moved, and with -o json an object a line. While
the rollout asks, watch shows the question and waits with it. It ends with status 0
where all went well, and 3 where somebody failed, went back or was left out.`,
		Example: `  reconcile rollout watch ro-1f3a2b
  reconcile rollout watch 1f3 -o json | jq -c .summary`,
		Args:              exactly(1, "one rollout"),
		ValidArgsFunction: p.completeRollout,
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := p.settings(cmd)
			if err != nil {
				return err
			}
			return p.watchRollout(cmd.Context(), set, args[0])
		},
	}
}

func (p *program) watchRollout(ctx context.Context, set settings, given string) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	view := &rolloutPicture{program: p, format: set.Output}
	defer view.leave()
	var moved time.Time // when somebody was last seen who moves it
	for {
		v, err := p.rolloutOnce(ctx, set, given)
		gone := time.Since(moved) < watchGrace // only just: a daemon may be on its way up again
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && !gone:
			return err
		case err == nil:
			given = v.ID // what it means does not change while it is watched
			if err := view.show(v); err != nil {
				return err
			}
			if v.Phase.Closed() {
				return watchedExit(v)
			}
		}
		switch {
		case movedBySomebody(ctx, set):
			moved = time.Now()
		case !gone:
			return observed.Wrap("watch rollout", given, observed.Refused, errors.New("nothing moves it: no daemon runs on this state directory, and no pass"),
				"start one with `reconcile run`, or make one pass with `reconcile`")
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// watchGrace is how long a watch goes on while nobody moves what it watches: a
// daemon that is started again is back in less.
const watchGrace = 15 * time.Second

func (p *program) rolloutOnce(ctx context.Context, set settings, given string) (agent.RolloutView, error) {
	t, _, done, err := p.ask(ctx, set)
	if err != nil {
		return agent.RolloutView{}, err
	}
	defer done()
	return findRollout(ctx, t, given)
}

// movedBySomebody says that a daemon or a pass is at work on this host.
func movedBySomebody(ctx context.Context, set settings) bool {
	if c, ok := dial(ctx, set); ok {
		c.Close()
		return true
	}
	return journal.HeldBy(set.State) != nil
}

// watchedExit is how a rollout that was watched to its end came out.
func watchedExit(v agent.RolloutView) error {
	if v.Phase == reconcile.RolloutCompleted && v.Summary.Upgraded == v.Size {
		return nil
	}
	return status(exitBlocked)
}

// rolloutPicture shows a rollout again and again.
type rolloutPicture struct {
	program *program
	format  string
	last    string // what was shown
	drawn   bool   // on a terminal
}

func (p *rolloutPicture) show(v agent.RolloutView) error {
	s := p.program.screen()
	switch key := movesOf(&v); {
	case p.format == "json":
		if key == p.last {
			return nil
		}
		p.last = key
		e := json.NewEncoder(p.program.stdout)
		e.SetEscapeHTML(false)
		return e.Encode(v)
	case s.columns > 0:
		return p.draw(s, v)
	case key != p.last:
		p.last = key
		_, err := fmt.Fprintln(p.program.stdout, rolloutLine(&v, time.Now()))
		return err
	}
	return nil
}

// draw draws the whole picture at once, so that nothing flickers: each line
// over the old one, then what is left of the old picture is cleared.
func (p *rolloutPicture) draw(s screen, v agent.RolloutView) error {
	var b bytes.Buffer
	if !p.drawn {
		b.WriteString("\x1b[?25l\x1b[2J") // no cursor
		p.drawn = true
	}
	b.WriteString("\x1b[H")
	for line := range strings.Lines(s.picture(&v)) {
		b.WriteString(strings.TrimRight(line, "\n") + "\x1b[K\r\n")
	}
	b.WriteString("\x1b[J")
	_, err := b.WriteTo(p.program.stdout)
	return err
}

// leave gives the terminal back; the last picture stays.
func (p *rolloutPicture) leave() {
	if p.drawn {
		fmt.Fprint(p.program.stdout, "\x1b[?25h")
		p.drawn = false
	}
}

// picture fits a rollout into the terminal: what is asked stays, the batches get
// the room that is left, and what failed is told as far as there is more of it.
func (s screen) picture(v *agent.RolloutView) string {
	const fewRows = 6 // of batches, before anything else is shortened
	var top, asks strings.Builder
	s.header(&top, v)
	writeRolloutAsks(&asks, v)
	for _, told := range []struct {
		failures int
		logs     bool
	}{{3, true}, {3, false}, {1, false}, {0, false}} {
		var tail, batches strings.Builder
		tail.WriteString(s.legend(v) + "\n")
		writeFailures(&tail, v, told.failures, told.logs)
		tail.WriteString(asks.String())
		text := cutLines(tail.String(), s.columns)
		room := 0
		if s.rows > 0 {
			room = s.rows - strings.Count(top.String()+text, "\n") - 3
			if room < fewRows && told.failures > 0 {
				continue
			}
			room = max(3, room)
		}
		s.batches(&batches, v, room)
		return top.String() + "\n" + batches.String() + "\n" + text
	}
	return top.String() // the last of the list always fits
}

// cutLines cuts each line that has no colours to the terminal; the others were
// wrapped.
func cutLines(text string, columns int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "\x1b") {
			line = cut(strings.TrimRight(line, "\n"), columns) + "\n"
		}
		b.WriteString(line)
	}
	return b.String()
}

// movesOf is what has to differ for a rollout to be worth another line.
func movesOf(v *agent.RolloutView) string {
	asks := ""
	if v.Question != nil {
		asks = v.Question.ID
	}
	return fmt.Sprint(v.Phase, v.Batch, v.Open, v.Summary, v.Done, v.Gate.For, v.Gate.Why, asks)
}

// rolloutLine is a rollout in one line.
func rolloutLine(v *agent.RolloutView, now time.Time) string {
	line := fmt.Sprintf("%s  %s %s, %s: %d of %d done, %s", now.Local().Format("15:04:05"), v.ID, v.Phase, atBatch(&v.Rollout), v.Done, v.Size, v.Summary)
	switch {
	case v.Question != nil:
		line += "; asks " + v.Question.ID + " (" + strings.Join(sortedNames(v.Question.Answers), " | ") + ")"
	case v.Phase.Closed() && v.Why != "":
		line += "; " + v.Why
	case !v.Phase.Closed() && v.Gate.Why != "":
		line += "; waits: " + v.Gate.Why
	}
	if !v.ETA.IsZero() && v.Question == nil {
		line += "; ends about " + clockText(v.ETA, v.Since)
	}
	return line
}
