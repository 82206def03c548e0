package zfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	gozfs "github.com/mistifyio/go-zfs/v3"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// refusal is what zfs said when it did not do what it was told.
type refusal struct {
	text string
	err  error
}

func (r refusal) Error() string { return r.text }
func (r refusal) Unwrap() error { return r.err }

// english has zfs say in English why it refuses: it is told apart by its words.
var english = [2]string{"LC_ALL", "C"}

// zfs runs one zfs command and returns its output. What it printed before an
// error is returned with the error: a look at several names tells of those that
// are there.
func (d *Driver) zfs(ctx context.Context, pool string, args ...string) (string, error) {
	return d.command(ctx, pool, "zfs", args...)
}

func (d *Driver) command(ctx context.Context, pool, name string, args ...string) (out string, err error) {
	return d.within(ctx, d.cfg.Limit, pool, name, args...)
}

// within runs a command that may take as long as limit.
func (d *Driver) within(ctx context.Context, limit time.Duration, pool, name string, args ...string) (string, error) {
	var stdout, stderr strings.Builder
	err := d.guard.run(ctx, limit, pool, shown(name, args), func(ctx context.Context) error {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Env = append(os.Environ(), english[0]+"="+english[1])
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		cmd.WaitDelay = time.Second
		return cmd.Run()
	})
	var p *observed.Problem
	if err == nil || errors.As(err, &p) {
		if err != nil { // the command may still be writing
			return "", err
		}
		return stdout.String(), nil
	}
	if text := strings.TrimSpace(stderr.String()); text != "" {
		err = refusal{text, err}
	}
	return stdout.String(), err
}

// library calls go-zfs, whose runner takes no context, and no environment but that
// of this process: the language is set there, and stays so.
func (d *Driver) library(ctx context.Context, pool, what string, call func() error) error {
	if err := os.Setenv(english[0], english[1]); err != nil {
		return err
	}
	err := d.guard.run(ctx, d.cfg.Limit, pool, what, func(context.Context) error { return call() })
	var said *gozfs.Error
	if errors.As(err, &said) && strings.TrimSpace(said.Stderr) != "" {
		return refusal{strings.TrimSpace(said.Stderr), said.Err}
	}
	return err
}

// shown is a command as a person would type it, cut to a line.
func shown(name string, args []string) string {
	line := fmt.Sprintf("%s %s", name, strings.Join(args, " "))
	if len(line) > 160 {
		line = line[:157] + "..."
	}
	return line
}
