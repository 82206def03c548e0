package docker

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// mostInput is the largest host file read into an environment: the kernel
// takes 128 KiB per string and 2 MiB for all of argv and environ (execve(2)).
const mostInput = 1 << 20

// hostInputs reads the host files of an instance: the variables they set, and
// a keyed digest over their content, wherever it was read from, that tells
// nobody what is in them.
func hostInputs(key []byte, want plans.Instance) (env map[string]string, digest string, err error) {
	if len(want.Spec.EnvFrom) == 0 {
		return nil, "", nil
	}
	env = map[string]string{}
	sum := hmac.New(sha256.New, key)
	for _, f := range want.Spec.EnvFrom {
		content, err := readInput(f.File)
		if err != nil {
			hint := "make the file readable to reconcile, mode 0600"
			if errors.Is(err, fs.ErrNotExist) {
				hint = "create the file on this host with mode 0600"
			}
			return nil, "", observed.Wrap("read host file for", want.Key.String(), observed.Refused, err, hint)
		}
		fmt.Fprintf(sum, "%d\x00", len(content))
		sum.Write(content)
		if err := envLines(env, string(content)); err != nil {
			return nil, "", refused("read host file for", want.Key.String(), f.File+": "+err.Error(), "write one NAME=value a line; lines that begin with # do not count")
		}
	}
	return env, "i1:" + hex.EncodeToString(sum.Sum(nil)[:16]), nil
}

func readInput(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, mostInput+1))
	if err == nil && len(content) > mostInput {
		err = fmt.Errorf("%s: larger than %d bytes", path, mostInput)
	}
	return content, err
}

// envLines adds NAME=value lines to env. Errors name the line and never its
// content, which may be secret.
func envLines(env map[string]string, content string) error {
	n := 0
	for line := range strings.Lines(content) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if trimmed := strings.TrimSpace(line); trimmed == "" || strings.HasPrefix(trimmed, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); !ok || name == "" || strings.ContainsAny(name, " \t") {
			return fmt.Errorf("line %d is not NAME=value", n)
		}
		if strings.ContainsRune(value, 0) {
			return fmt.Errorf("line %d holds a zero byte", n)
		}
		env[name] = value
	}
	return nil
}
