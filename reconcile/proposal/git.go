package proposal

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/source"
)

// git runs the person's own git: what talks to the remote uses their keys,
// helpers and hooks, and says who they are as they set it up.
func (c *Clone) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = c.Dir()
	// A prompt would wait for somebody who may not be there.
	cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "LC_ALL=C")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	switch {
	case err == nil:
		return strings.TrimSpace(string(out)), nil
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return "", observed.Wrap("run git", args[0], observed.Environment, errors.New("git is not installed here"), "install git")
	}
	return "", observed.Wrap("git "+args[0], c.Dir(), observed.Environment, errors.New(source.Redact(lastWords(said.String()))), "")
}

// lastWords is the end of what a command said, as one line.
func lastWords(text string) string {
	const few = 6
	lines := strings.FieldsFunc(strings.TrimSpace(text), func(r rune) bool { return r == '\n' })
	return cmp.Or(strings.Join(lines[max(0, len(lines)-few):], "; "), "it failed and said nothing")
}

// identity is who a commit is by (AUTHOR or COMMITTER): as git itself says, else
// by what stands in the configuration where git is not installed.
func (c *Clone) identity(ctx context.Context, role string, now time.Time) (object.Signature, error) {
	if _, err := exec.LookPath("git"); err == nil {
		said, err := c.git(ctx, "var", "GIT_"+role+"_IDENT")
		if err != nil {
			return object.Signature{}, refused("make commit", c.Dir(), err, `say who you are: git config user.name "Your Name", and git config user.email you@example.com`)
		}
		return parseIdent(said)
	}
	conf, err := c.repo.ConfigScoped(config.SystemScope)
	if err != nil {
		return object.Signature{}, refused("read configuration of git", c.Dir(), err, "")
	}
	s := object.Signature{When: now,
		Name:  cmp.Or(os.Getenv("GIT_"+role+"_NAME"), conf.User.Name),
		Email: cmp.Or(os.Getenv("GIT_"+role+"_EMAIL"), conf.User.Email)}
	if s.Name == "" || s.Email == "" {
		return s, refused("make commit", c.Dir(), errors.New("git's configuration does not say who you are"), "set user.name and user.email in ~/.gitconfig")
	}
	return s, nil
}

// parseIdent reads "Name <mail> 1700000000 +0100".
func parseIdent(said string) (object.Signature, error) {
	open, end := strings.LastIndex(said, " <"), strings.LastIndex(said, "> ")
	if open < 0 || end < open {
		return object.Signature{}, fmt.Errorf("read identity: git says %q", said)
	}
	at, zone, _ := strings.Cut(said[end+2:], " ")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return object.Signature{}, fmt.Errorf("read identity: git says %q", said)
	}
	when := time.Unix(seconds, 0)
	if z, err := time.Parse("-0700", zone); err == nil {
		when = when.In(z.Location())
	}
	return object.Signature{Name: said[:open], Email: said[open+2 : end], When: when}, nil
}
