package main

import (
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
repository. Exit status 3 says that there is one.`,
		Example: "  reconcile questions\n  reconcile questions -o json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := p.settings(cmd)
			if err != nil {
				return err
			}
			t, notes, done, err := p.ask(cmd.Context(), set)
			if err != nil {
				return err
			}
			defer done()
			st, err := t.Status(cmd.Context())
			if err != nil {
				return err
			}
			list := questionsOf(st)
			if set.Output == "json" {
				if err := p.json(list); err != nil {
					return err
				}
			} else {
				writeNotes(p.stderr, notes)
				writeQuestions(p.stdout, list)
			}
			if len(list) > 0 {
				return status(exitBlocked)
			}
			return nil
		},
	}
}

// questionsOf gathers what is asked, oldest first. Several tenants may wait for
// the same answer.
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
	slices.SortStableFunc(list, func(a, b openQuestion) int { return a.Since.Compare(b.Since) })
	return list
}

func writeQuestions(w io.Writer, list []openQuestion) {
	if len(list) == 0 {
		fmt.Fprintln(w, "No questions. Nothing waits for a person.")
		return
	}
	for _, q := range list {
		fmt.Fprintf(w, "%s  since %s", q.ID, q.Since.Local().Format(time.DateTime))
		if len(q.Tenants) > 0 {
			fmt.Fprintf(w, ", for %s", someNames(q.Tenants))
		}
		fmt.Fprintf(w, "\n    %s\n", strings.TrimSpace(q.Text))
		for _, a := range sortedNames(q.Answers) {
			fmt.Fprintf(w, "    %s: %s\n", a, q.Answers[a])
		}
	}
}
