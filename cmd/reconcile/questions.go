package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/agent"
)

// openQuestion is one question and who waits for its answer.
type openQuestion struct {
	reconcile.Question
	Rollout string   `json:"rollout,omitempty"`
	Tenants []string `json:"tenants,omitempty"`
}

func (p *program) questions() *cobra.Command {
	return &cobra.Command{
		Use:   "questions",
		Short: "List what waits for a person",
		Long: `questions lists what waits for a person: since when, who waits, the allowed
answers and what each would do. An answer is a Decision document in the plan
repository; ` + "`reconcile answer`" + ` writes it. Exit status 3 says that there is one.`,
		Example: "  reconcile questions\n  reconcile questions -o json | jq -r '.[].id'",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return telling[[]openQuestion]{ask: openQuestions, view: func(w io.Writer, list []openQuestion, _ screen) { writeQuestions(w, list) },
				exit: some[openQuestion](exitBlocked)}.run(p, cmd)
		},
	}
}

// openQuestions asks what waits for a person.
func openQuestions(ctx context.Context, t teller) ([]openQuestion, error) {
	st, err := t.Status(ctx)
	return questionsOf(st), err
}

// questionsOf gathers what is asked: by rollouts, which many tenants wait for, then
// by tenants, each oldest first. Several tenants may wait for the same answer.
func questionsOf(st agent.Status) []openQuestion {
	list := []openQuestion{}
	for _, r := range st.Rollouts {
		if q := r.Question(); q != nil {
			list = append(list, openQuestion{Question: *q, Rollout: r.ID})
		}
	}
	for _, t := range st.Tenants {
		if t.Question == nil {
			continue
		}
		i := slices.IndexFunc(list, func(q openQuestion) bool { return q.ID == t.Question.ID })
		if i < 0 {
			i = len(list)
			list = append(list, openQuestion{Question: *t.Question})
		}
		list[i].Tenants = append(list[i].Tenants, t.Name)
	}
	slices.SortStableFunc(list, func(a, b openQuestion) int {
		switch {
		case a.Rollout != "" && b.Rollout == "":
			return -1
		case a.Rollout == "" && b.Rollout != "":
			return 1
		}
		return a.Since.Compare(b.Since)
	})
	return list
}

func writeQuestions(w io.Writer, list []openQuestion) {
	if len(list) == 0 {
		fmt.Fprintln(w, "No questions. Nothing waits for a person.")
		return
	}
	for _, q := range list {
		fmt.Fprintf(w, "%s  since %s", q.ID, q.Since.Local().Format(time.DateTime))
		switch {
		case q.Rollout != "":
			fmt.Fprintf(w, ", of rollout %s", q.Rollout)
		case len(q.Tenants) > 0:
			fmt.Fprintf(w, ", for %s", someNames(q.Tenants))
		}
		fmt.Fprintf(w, "\n    %s\n", strings.TrimSpace(q.Text))
		for _, a := range sortedNames(q.Answers) {
			fmt.Fprintf(w, "    %s: %s\n", a, q.Answers[a])
		}
		fmt.Fprintf(w, "    → %s\n", howToAnswer(q.ID))
	}
}

// howToAnswer is the command line that answers a question.
func howToAnswer(id string) string { return "reconcile answer " + id + ` ANSWER --reason "…"` }
