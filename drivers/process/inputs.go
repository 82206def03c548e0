package process

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
)

// inputLimit is the largest host file that is read; the kernel takes 2 MiB for
// all of a command's arguments and environment (execve(2)).
const inputLimit = 1 << 20

// inputKeyFile is below the root. Losing it costs nothing but that equal inputs
// no longer look equal.
const inputKeyFile = "inputs.key"

// inputs reads the host files of an instance into env. It returns a digest of
// their content that tells nobody without the key what is in them.
func (r *Runtime) inputs(env map[string]string, from []plans.HostFile) (string, error) {
	if len(from) == 0 {
		return "", nil
	}
	key, err := r.inputKey()
	if err != nil {
		return "", fmt.Errorf("read key of inputs: %w", err)
	}
	sum := hmac.New(sha256.New, key)
	for _, f := range from {
		text, err := readInput(f.File)
		if err != nil {
			return "", fmt.Errorf("read envFrom: %w", err)
		}
		digestInput(sum, text)
		if err := parseEnv(env, text); err != nil {
			return "", fmt.Errorf("read envFrom %s: %w", f.File, err)
		}
	}
	return "i1:" + hex.EncodeToString(sum.Sum(nil)[:16]), nil
}

func digestInput(sum hash.Hash, text string) {
	fmt.Fprintf(sum, "%d\x00%s", len(text), text)
}

func readInput(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, inputLimit+1))
	if err == nil && len(text) > inputLimit {
		err = fmt.Errorf("%s has more than %d bytes", path, inputLimit)
	}
	return string(text), err
}

// parseEnv reads NAME=value lines as `docker run --env-file` does: a value is
// taken as it is, quotes and all; # starts a comment line. What it refuses it
// does not repeat, for it may be a secret.
func parseEnv(env map[string]string, text string) error {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimLeft(strings.TrimRight(line, "\r\n"), " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if name = strings.TrimRight(name, " \t"); !ok || name == "" || strings.ContainsAny(name, " \t") {
			return fmt.Errorf("line %d is not NAME=value", n)
		}
		if strings.Contains(line, "\x00") {
			return fmt.Errorf("line %d holds a zero byte", n)
		}
		env[name] = value
	}
	return nil
}

func (r *Runtime) inputKey() ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	path := r.path(inputKeyFile)
	key, err := os.ReadFile(path)
	if err == nil && len(key) == sha256.Size || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key = make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	return key, writeFile(path, key, 0o600)
}
