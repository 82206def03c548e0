package main

import (
	"context"
	"fmt"
	"os"
	"os/user"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// answerHere gives an answer to this host alone.
func (p *program) answerHere(ctx context.Context, set settings, a answering) error {
	if !set.AllowLocal {
		return localRefused("answer", a.question, "commit the answer: leave --local out")
	}
	order := func(ctx context.Context, t teller, give func(agent.LocalDecision) error) (string, error) {
		asked, err := openQuestions(ctx, t)
		if err != nil {
			return "", err
		}
		q, err := checkAnswer(asked, a.question, a.answer)
		if err != nil {
			return "", err
		}
		return q.ID, give(agent.LocalDecision{Question: q.ID, Answer: a.answer, Reason: a.reason, By: who()})
	}
	res := answerResult{Answer: a.answer, Checked: true, Local: true, Next: "`reconcile rollout list` and `reconcile status` show what comes of it; git does not hold this answer"}
	var err error
	if c, ok := dial(ctx, set); ok {
		defer c.Close()
		res.Question, err = order(ctx, c, func(d agent.LocalDecision) error { return c.Answer(ctx, d) })
	} else {
		err = p.orderHere(ctx, set, func(a *agent.Agent, view *passView) error {
			// A pass first: only then is it known what is asked.
			if _, err := a.Pass(ctx); err != nil {
				return err
			}
			if res.Question, err = order(ctx, &onlooker{agent: a, program: p, looked: true}, a.Answer); err != nil {
				return err
			}
			_, err := a.Pass(ctx)
			return err
		})
	}
	if err != nil {
		return err
	}
	if set.Output == "json" {
		return p.json(res)
	}
	fmt.Fprintf(p.stdout, "question %s is answered on this host with %s\nnext: %s\n", res.Question, res.Answer, res.Next)
	return nil
}

// localRefused says that a host takes no orders but git's.
func localRefused(op, ref, instead string) error {
	return observed.Wrap(op, ref, observed.Refused, fmt.Errorf("this host takes orders from git alone"),
		instead+"; or set allowLocal: true in this host's configuration")
}

// who gives an order here: the person behind sudo, where there is one.
func who() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// orderHere opens this host to act on it by the plan in force, and gives it an
// order.
func (p *program) orderHere(ctx context.Context, set settings, order func(*agent.Agent, *passView) error) error {
	feed, err := newFeed(set, set.at(cloneDir))
	if err != nil {
		return denied("open state", set.State, err)
	}
	rev, err := feed.inForce(ctx)
	if err != nil {
		return err
	}
	view := newPassView(p.stdout, p.stderr, set.Output)
	defer view.Close()
	h, err := openHost(ctx, set, rev.Plan, hostOptions{Log: p.logger(), Progress: view.Progress})
	if err != nil {
		return err
	}
	defer h.Close()
	h.config.Events = view.Event
	a, err := agent.New(h.config)
	if err != nil {
		return err
	}
	a.SetPlan(rev.Plan)
	p.passing = "what was under way is looked at again by the next pass"
	return order(a, view)
}
