package process

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// logLimit is the most of an instance's output that is returned at once.
const logLimit = 1 << 20

// Logs implements drivers.Runtime. An instance that is no more, or never said
// anything, has no lines.
func (r *Runtime) Logs(_ context.Context, key plans.Key, lines int) (string, error) {
	o, err := r.find(key)
	if err != nil {
		return "", err
	}
	if o == nil {
		return "", problem("read the log of", key.String(), observed.Conflict, "", "there is no such instance")
	}
	var text []byte
	for _, name := range []string{oldLogFile, logFile} {
		part, err := readEnd(filepath.Join(r.dir(key), name), logLimit)
		if err != nil {
			return "", environment("read the log of", key, err)
		}
		text = append(text, part...)
	}
	return string(lastLines(text, lines)), nil
}

// readEnd reads at most the last n bytes of a file; nothing if there is none.
func readEnd(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size, err := f.Seek(0, io.SeekEnd); err != nil {
		return nil, err
	} else if _, err := f.Seek(max(0, size-n), io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, n))
}

// lastLines returns the last n lines of text.
func lastLines(text []byte, n int) []byte {
	if n <= 0 {
		return nil
	}
	end := len(bytes.TrimSuffix(text, []byte("\n")))
	for i := end - 1; i >= 0; i-- {
		if text[i] == '\n' {
			if n--; n == 0 {
				return text[i+1:]
			}
		}
	}
	return text
}
