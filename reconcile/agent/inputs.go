package agent

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gitops-fleet/reconcile/plans"
)

// inputLimit bounds a host file we read as an input.
const inputLimit = 1 << 20

// inputs keeps what host files held when a generation was first started, so
// that going back, or starting again, needs no file that has changed since.
//
//	DIR/key                        of the keyed digests
//	DIR/TENANT/SPEC/FILE@VERSION   0600, until SPEC's way back is given up
type inputs struct {
	dir    string // "": nothing is kept, files are used where they are
	host   Host
	redact *Redactor

	mu  sync.Mutex // guards key, and the making of a kept file
	key []byte
}

func newInputs(dir string, h Host, r *Redactor) *inputs {
	if dir != "" {
		dir = filepath.Join(dir, "inputs")
	}
	return &inputs{dir: dir, host: h, redact: r}
}

// digest is the keyed digest of content: equal for equal content on this host,
// and of no use to guess the content by.
func (n *inputs) digest(content []byte) (string, error) {
	key, err := n.secret()
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(content)
	return "k1:" + hex.EncodeToString(mac.Sum(nil)[:8]), nil
}

func (n *inputs) secret() ([]byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.key != nil {
		return n.key, nil
	}
	fresh := make([]byte, 32)
	rand.Read(fresh) // never errs
	if n.dir == "" {
		n.key = fresh
		return n.key, nil
	}
	path := filepath.Join(n.dir, "key")
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = fresh, writeSecret(path, fresh)
	}
	if err != nil {
		return nil, fmt.Errorf("read digest key: %w", err)
	}
	n.key = key
	return key, nil
}

// read returns the content of a host file and feeds the redactor with it.
func (n *inputs) read(path string) ([]byte, error) {
	content, err := n.host.ReadFile(path)
	n.redact.Feed(content)
	return content, err
}

// readKept does the same for a copy of ours.
func (n *inputs) readKept(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	n.redact.Feed(content)
	return content, err
}

// feed gives the redactor all that is kept, so that a restarted agent hides
// what the one before it read.
func (n *inputs) feed() error {
	if n.dir == "" {
		return nil
	}
	// A look reads those of the host through a link.
	dir, err := filepath.EvalSymlinks(n.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == filepath.Join(dir, "key") {
			return err
		}
		_, err = n.readKept(path)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// resolve returns files as an instance made from spec shall read them: the
// kept copy of each, made now if this is the first start.
func (n *inputs) resolve(tenant, spec string, files []plans.HostFile) ([]plans.HostFile, error) {
	if len(files) == 0 || n.dir == "" {
		for _, f := range files {
			if _, err := n.read(f.File); err != nil {
				return nil, err
			}
		}
		return files, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	out := slices.Clone(files)
	for i, f := range files {
		kept := n.path(tenant, spec, f)
		_, err := n.readKept(kept)
		if errors.Is(err, fs.ErrNotExist) {
			var content []byte
			if content, err = n.read(f.File); err == nil {
				err = writeSecret(kept, content)
			}
		}
		if err != nil {
			return nil, err
		}
		out[i].File = kept
	}
	return out, nil
}

// retire removes the copies of a tenant's specs that are not in keep.
func (n *inputs) retire(tenant string, keep []string) error {
	if n.dir == "" {
		return nil
	}
	dir := filepath.Join(n.dir, fileName(tenant))
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, k := range keep {
		names[fileName(k)] = true
	}
	left := len(entries)
	for _, e := range entries {
		if !names[e.Name()] {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
			left--
		}
	}
	if left == 0 {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

func (n *inputs) path(tenant, spec string, f plans.HostFile) string {
	sum := sha256.Sum256([]byte(f.File + "\x00" + f.Version))
	return filepath.Join(n.dir, fileName(tenant), fileName(spec), hex.EncodeToString(sum[:8]))
}

// fileName makes a digest or a name a file name.
func fileName(s string) string {
	return strings.NewReplacer(":", "-", "/", "-", "..", "--").Replace(s)
}

// writeSecret writes content whole, 0600, and durable.
func writeSecret(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone after the rename
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
