package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/proposal"
)

// answering is one answer and where it goes.
type answering struct {
	question, answer, reason string
	local                    bool
	clone                    cloneFlags
}

func (p *program) answer() *cobra.Command {
	var a answering
	cmd := &cobra.Command{
		Use:   "answer ID ANSWER --reason TEXT",
		Short: "Answer a question: write the decision into git, or give it here",
		Long: `answer writes a Decision into a clone of the plan repository and commits it on a
branch of its own, made on top of what the hosts follow. Nothing else of the clone
is touched, and nothing that is not committed. The hosts act once the branch is
merged. Run it in the clone, or name one with --dir.

On a host the question and the answer are checked against what is asked there, and
the id may be shortened as far as it is unique. Elsewhere give the whole id.

--local gives the answer to this host alone and at once, past git; its
configuration must allow that (allowLocal: true).`,
		Example: `  reconcile questions
  reconcile answer ro-1f3a2b abort --reason "5xx on login" --push
  reconcile answer ro-1f3a2b.trip1-9c4e0d11 retry --reason "registry is back" --dir ~/fleet
  reconcile answer ro-1f3 continue_anyway --reason "known, harmless" --local`,
		Args:              exactly(2, "the id of a question and the answer"),
		ValidArgsFunction: p.completeAnswer,
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := p.settings(cmd)
			if err != nil {
				return err
			}
			a.question, a.answer = args[0], args[1]
			if strings.TrimSpace(a.reason) == "" {
				return usage{error: errors.New("say why with --reason: whoever reads it later was not here"), hint: helpOf(cmd)}
			}
			if a.local {
				return p.answerHere(cmd.Context(), set, a)
			}
			return p.answerInGit(cmd.Context(), set, a)
		},
	}
	cmd.Flags().StringVar(&a.reason, "reason", "", "why, for whoever reads it later")
	cmd.Flags().BoolVar(&a.local, "local", false, "give it to this host alone and at once, past git")
	a.clone.add(cmd, "decision/ID")
	return cmd
}

// answerResult is what an answer came to, as JSON.
type answerResult struct {
	Question string `json:"question"`
	Answer   string `json:"answer"`
	// Checked says that the question was found to be asked.
	Checked bool      `json:"checked"`
	Local   bool      `json:"local,omitempty"`
	InGit   *proposed `json:"git,omitempty"`
	Next    string    `json:"next"`
}

func (p *program) answerInGit(ctx context.Context, set settings, a answering) error {
	asked, err := p.asked(ctx, set)
	if err != nil {
		return err
	}
	res := answerResult{Question: a.question, Answer: a.answer, Checked: asked != nil}
	about := ""
	if asked != nil {
		q, err := checkAnswer(asked, a.question, a.answer)
		if err != nil {
			return err
		}
		res.Question, about = q.ID, q.Text
	}
	c, err := p.openClone(ctx, set, a.clone)
	if err != nil {
		return err
	}
	f := a.clone
	if f.branch == "" {
		f.branch = "decision/" + res.Question
	}
	base, exists, err := c.Base(f.branch)
	if err != nil {
		return err
	}
	where := followed(c)
	if exists {
		where = f.branch
	}
	feed := cloneFeed(set, c)
	was, err := feed.at(base)
	if err != nil {
		return err
	}
	for _, d := range was.Plan.Decisions {
		if d.Question == res.Question {
			return observed.Wrap("answer", res.Question, observed.Refused, fmt.Errorf("decision %s in %s answers it already, with %s", d.Name, where, d.Answer),
				"change that file to answer otherwise; if it is merged and nothing happens, `reconcile status` says why")
		}
	}
	name := decisionName(res.Question)
	file := path.Join("decisions", name+".yaml")
	text, err := decisionFile(name, res.Question, a.answer, a.reason, about)
	if err != nil {
		return err
	}
	draft, err := c.Draft(ctx, f.branch, []proposal.Change{{Path: path.Join(set.Repo.Path, file), Content: text}},
		fmt.Sprintf("Answer %s: %s\n\n%s\n", res.Question, a.answer, a.reason))
	if err != nil {
		return err
	}
	if _, err := feed.at(draft.Hash); err != nil {
		return err
	}
	kept, err := p.keep(ctx, set, c, f, draft)
	if err != nil {
		return err
	}
	res.InGit, res.Next = &kept, kept.Next
	if set.Output == "json" {
		return p.json(res)
	}
	if !res.Checked {
		fmt.Fprintln(p.stderr, "note: no reconcile has run on this machine, so that nobody could check the question; `reconcile questions` on its host lists them")
	}
	fmt.Fprintf(p.stdout, "question %s is answered with %s\n", res.Question, a.answer)
	fmt.Fprintf(p.stdout, "  %s on branch %s, commit %s\n", strings.Join(kept.Files, ", "), kept.Branch, short(kept.Commit))
	fmt.Fprintf(p.stdout, "next: %s\n", kept.Next)
	return nil
}

// asked are the open questions of this host; nil where none can be known here.
func (p *program) asked(ctx context.Context, set settings) ([]openQuestion, error) {
	if !ranHere(ctx, set) {
		return nil, nil
	}
	t, _, done, err := p.ask(ctx, set)
	if err != nil {
		return nil, err
	}
	defer done()
	return openQuestions(ctx, t)
}

// checkAnswer finds the question whose id begins as given, and refuses an answer
// that it does not allow.
func checkAnswer(asked []openQuestion, id, answer string) (openQuestion, error) {
	ids := make([]string, len(asked))
	for i := range asked {
		ids[i] = asked[i].ID
	}
	full, err := whole(ids, id, "question", "reconcile questions")
	if err != nil {
		if len(asked) == 0 {
			err = observed.Wrap("find question", id, observed.Refused, errors.New("nothing is asked on this host, or not any more"), "`reconcile questions` lists what waits for a person")
		}
		return openQuestion{}, err
	}
	for _, q := range asked {
		if q.ID != full {
			continue
		}
		if _, ok := q.Answers[answer]; !ok {
			return q, observed.Wrap("answer", full, observed.Refused, fmt.Errorf("%q is none of its answers", answer),
				"answer "+strings.Join(sortedNames(q.Answers), ", ")+"; `reconcile questions` says what each would do")
		}
		return q, nil
	}
	return openQuestion{}, err
}

// decisionName is a question's id as the name of a document.
func decisionName(question string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, strings.ToLower(question))
	return strings.Trim(name[:min(len(name), 63)], "-")
}

// decisionFile is the document, with what was asked as a comment for reviewers.
func decisionFile(name, question, answer, reason, about string) ([]byte, error) {
	type spec struct {
		Question string `yaml:"question"`
		Answer   string `yaml:"answer"`
		Reason   string `yaml:"reason"`
	}
	var b bytes.Buffer
	for _, line := range paragraph(about, 90) {
		b.WriteString("# " + line + "\n")
	}
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	err := e.Encode(struct {
		Version  string            `yaml:"apiVersion"`
		Kind     string            `yaml:"kind"`
		Metadata map[string]string `yaml:"metadata,flow"`
		Spec     spec              `yaml:"spec"`
	}{plans.Version, string(plans.KindDecision), map[string]string{"name": name}, spec{question, answer, reason}})
	if err != nil {
		return nil, fmt.Errorf("write decision: %w", err)
	}
	return b.Bytes(), nil
}

// paragraph breaks a text into lines of at most so many columns, where its words
// allow that.
func paragraph(text string, columns int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > columns:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// completeAnswer completes the id of a question, then its answers, where a
// daemon can be asked.
func (p *program) completeAnswer(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	return p.complete(cmd, begun, func(ctx context.Context, set settings) (words []string, err error) {
		c, ok := dial(ctx, set)
		if !ok || len(args) > 1 {
			return nil, nil
		}
		defer c.Close()
		asked, err := openQuestions(ctx, c)
		for _, q := range asked {
			switch {
			case len(args) == 0:
				words = append(words, q.ID)
			case strings.HasPrefix(q.ID, args[0]):
				words = append(words, sortedNames(q.Answers)...)
			}
		}
		return words, err
	})
}
