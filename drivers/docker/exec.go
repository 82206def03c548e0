package docker

import (
	"context"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/plans"
)

// mostExec is the most output of a command that is kept, from its end.
const mostExec = 4 << 10

// Exec implements drivers.Runtime. The engine cannot end a command: one that
// outlives ctx goes on in the container.
func (r *Runtime) Exec(ctx context.Context, key plans.Key, command []string) (int, string, error) {
	c, err := r.find(ctx, "exec in", key)
	if err != nil {
		return 0, "", err
	}
	if c == nil {
		return 0, "", conflict("exec in", key.String(), "it does not run")
	}
	made, err := r.cli.ExecCreate(ctx, c.ID, client.ExecCreateOptions{
		Cmd: command, AttachStdout: true, AttachStderr: true,
	})
	if cerrdefs.IsNotFound(err) || cerrdefs.IsConflict(err) {
		return 0, "", conflict("exec in", key.String(), "it does not run")
	}
	if err != nil {
		return 0, "", r.problem("exec in", key.String(), err)
	}
	conn, err := r.cli.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	if err != nil {
		return 0, "", r.problem("exec in", key.String(), err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, conn.Close)()
	out := &tail{most: mostExec}
	_, err = stdcopy.StdCopy(out, out, conn.Reader)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return 0, out.String(), r.problem("exec in", key.String(), err)
	}
	exit, err := r.execExit(ctx, made.ID)
	return exit, out.String(), r.problem("exec in", key.String(), err)
}

// execExit waits for the exit status, which the engine may learn a moment
// after the output ended.
func (r *Runtime) execExit(ctx context.Context, id string) (int, error) {
	for {
		got, err := r.cli.ExecInspect(ctx, id, client.ExecInspectOptions{})
		if err != nil || !got.Running {
			return got.ExitCode, err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}
