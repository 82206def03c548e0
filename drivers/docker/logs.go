package docker

import (
	"context"
	"io"
	"strconv"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/gitops-fleet/reconcile/plans"
)

// mostLog is the most output that is returned, whatever the number of lines.
const mostLog = 16 << 10

// Logs implements drivers.Runtime: the last lines of both outputs, in the
// order the engine has them, at most 16 KiB.
func (r *Runtime) Logs(ctx context.Context, key plans.Key, lines int) (string, error) {
	c, err := r.find(ctx, "read the log of", key)
	if err != nil {
		return "", err
	}
	if c == nil {
		return "", conflict("read the log of", key.String(), "there is no such instance")
	}
	out, err := r.cli.ContainerLogs(ctx, c.ID, client.ContainerLogsOptions{
		ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(max(lines, 0)),
	})
	if err != nil {
		return "", r.problem("read the log of", key.String(), err)
	}
	defer out.Close()
	last := &tail{most: mostLog}
	if c.Config.Tty {
		_, err = io.Copy(last, out)
	} else {
		_, err = stdcopy.StdCopy(last, last, out)
	}
	return last.String(), r.problem("read the log of", key.String(), err)
}
