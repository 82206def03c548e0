package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"
)

// telling is a verb that asks one thing about the host and shows it.
type telling[T any] struct {
	ask  func(ctx context.Context, t teller) (T, error)
	view func(w io.Writer, v T, s screen)
	// exit is the exit status by what was told; nil: 0.
	exit func(v T) error
}

// run asks the daemon, or looks, and shows the answer in the format asked for.
func (o telling[T]) run(p *program, cmd *cobra.Command) error {
	set, err := p.settings(cmd)
	if err != nil {
		return err
	}
	t, notes, done, err := p.ask(cmd.Context(), set)
	if err != nil {
		return err
	}
	defer done()
	v, err := o.ask(cmd.Context(), t)
	if err != nil {
		return err
	}
	if set.Output == "json" {
		if err := p.json(v); err != nil {
			return err
		}
	} else {
		writeNotes(p.stderr, notes)
		o.view(p.stdout, v, p.screen())
	}
	if o.exit == nil {
		return nil
	}
	return o.exit(v)
}

// some is the exit status where a list has something in it.
func some[E any](s status) func([]E) error {
	return func(list []E) error {
		if len(list) > 0 {
			return s
		}
		return nil
	}
}
