package agent

import (
	"cmp"
	"context"
	"slices"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/reconcile"
)

// playAnswers plays every answer to the question a rollout would come to wait
// for, each from now on.
func (a *Agent) playAnswers(ctx context.Context, plan *plans.Plan, p *PlannedRollout) error {
	if p.Question == nil {
		return nil
	}
	for _, answer := range sortedKeys(p.Question.Answers, cmp.Compare[string]) {
		w, err := a.rehearse(ctx, plan)
		if err != nil {
			return err
		}
		w.says(p.Question.ID, answer)
		if err := w.run(ctx); err != nil {
			return err
		}
		r, ok := w.engine.rollout.runs.Get(p.ID)
		if !ok {
			continue
		}
		played := PlayedAnswer{Answer: answer, Ends: r.Phase, Summary: r.Summary, Takes: w.lasts(r)}
		if q := r.Question(); q != nil {
			played.Asks = q.Text
		}
		p.Answers = append(p.Answers, played)
	}
	return nil
}

// says answers a question of the rehearsal, now or when it is asked, whatever
// the plan answers.
func (w *rehearsal) says(question, answer string) {
	p := *w.engine.plan
	p.Decisions = slices.DeleteFunc(slices.Clone(p.Decisions), func(d plans.Decision) bool { return d.Question == question })
	w.engine.plan = &p
	w.engine.local[question] = LocalDecision{Question: question, Answer: answer, At: w.now}
	w.engine.answered()
}

// approve lets every batch that is asked about begin: what would come after a
// person's yes is what is to be seen.
func (w *rehearsal) approve() {
	for _, r := range w.engine.rollout.runs.Open() {
		if q := r.Question(); q != nil && q.Answers[reconcile.Proceed] != "" && w.engine.answers[q.ID] == "" {
			w.says(q.ID, reconcile.Proceed)
		}
	}
}
