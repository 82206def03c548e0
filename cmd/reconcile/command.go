package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// program is what every verb works with.
type program struct {
	stdout, stderr io.Writer
	env            func(string) string
	// format is the output format once settings are loaded; failures before
	// that look at the flag alone.
	format string
	// passing is what becomes of a pass that is interrupted; "": none is made.
	passing string
}

// execute runs one command line and returns the exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	p := &program{stdout: stdout, stderr: stderr, env: os.Getenv}
	root := p.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if p.format == "" {
		if f := root.PersistentFlags().Lookup("output"); f != nil {
			p.format = f.Value.String()
		}
	}
	return p.fail(ctx, err)
}

func (p *program) root() *cobra.Command {
	var dryRun bool
	root := &cobra.Command{
		Use:   "reconcile",
		Short: "Make this host run what a git repository says",
		Long: `reconcile pulls the plan repository, checks it, compares it with what really
runs, and converges: one tenant at a time, proved before it is routed, with a
way back at every step. Without a verb it makes one pass and returns when every
tenant is where it should be, or says why one is not.`,
		Example: `  # what would a merge do? (exit status 2: there are changes)
  reconcile --plans . --node host-1 --dry-run
  # one pass
  reconcile --repo https://git.example.com/fleet.git --state /var/lib/reconcile
  # follow the repository for good
  reconcile run`,
		Args:          noArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		// As many letters as a slip of the keys takes.
		SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := p.settings(cmd)
			if err != nil {
				return err
			}
			if dryRun {
				return p.preview(cmd.Context(), set)
			}
			return p.pass(cmd.Context(), set)
		},
	}
	root.Flags().BoolVar(&dryRun, "dry-run", false, "show what a pass would do, and change nothing")
	addFlags(root.PersistentFlags())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage{error: err, hint: helpOf(cmd)} })
	root.AddCommand(
		p.run(), p.validate(), p.render(), p.status(), p.explain(), p.data(), p.drift(), p.questions(), p.answer(), p.rollout(), p.events(),
		p.rollback(), p.revert(), p.nudge(), p.simulate(), p.pin(), p.schema(), p.version(),
	)
	completeFlags(root)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, own := range root.Commands() {
		switch own.Name() { // cobra's own have no example
		case "completion":
			own.Example = "  source <(reconcile completion bash)"
		case "help":
			own.Hidden = true
		}
	}
	root.SetHelpTemplate(root.HelpTemplate() + "\n" + exitHelp)
	return root
}

// settings loads the host's configuration for a verb.
func (p *program) settings(cmd *cobra.Command) (settings, error) {
	s, err := load(cmd.Flags(), p.env)
	p.format = s.Output
	return s, err
}

// noArgs names a mistyped verb instead of counting arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case cmd.HasParent():
		return usage{error: fmt.Errorf("%s takes no argument, and got %q", cmd.Name(), args[0]), hint: helpOf(cmd)}
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usage{error: errors.New("there is no verb " + args[0] + "; did you mean " + strings.Join(near, " or ") + "?")}
	}
	return usage{error: errors.New("there is no verb " + args[0])}
}

// exactly wants n arguments, called by the given name.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usage{error: errors.New("give " + what), hint: helpOf(cmd)}
		}
		return nil
	}
}

// atMostOne wants one argument, called by the given name, or none.
func atMostOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usage{error: errors.New("give at most one " + what), hint: helpOf(cmd)}
		}
		return nil
	}
}

func helpOf(cmd *cobra.Command) string { return "run `" + cmd.CommandPath() + " --help`" }
