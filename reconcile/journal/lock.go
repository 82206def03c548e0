package journal

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Holder is what the process that holds a state says of itself in its lock.
type Holder struct {
	PID    int       `json:"pid"`
	State  string    `json:"state"`            // its state directory
	Socket string    `json:"socket,omitempty"` // where it can be asked
	Since  time.Time `json:"since"`
}

// HeldError says that another process has the state open.
type HeldError struct {
	Lock string // the lock's path
	Holder
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("process %d has it open since %s", e.PID, e.Since.Format(time.RFC3339))
}

func (e *HeldError) hint() string {
	if e.Socket == "" {
		return fmt.Sprintf("wait for process %d to end, or stop it: kill %d", e.PID, e.PID)
	}
	return fmt.Sprintf("ask the daemon over %s: reconcile --state %s status; or stop it: kill %d", e.Socket, e.State, e.PID)
}

// DefaultRunDir is where root keeps the lock of a fleet's node; "" for others.
func DefaultRunDir() string {
	if os.Geteuid() == 0 {
		return "/run/reconcile"
	}
	return ""
}

type lock struct{ file *os.File }

// release lets go of the lock. The file stays: removing it would let two
// processes hold two files of one name.
func (l *lock) release() { l.file.Close() }

func takeLocks(o Options) (held []*lock, err error) {
	paths := []string{filepath.Join(o.Dir, "lock")}
	if o.RunDir != "" {
		if err := os.MkdirAll(o.RunDir, 0o755); err != nil {
			return nil, fmt.Errorf("make lock directory: %w", err)
		}
		name := url.PathEscape(o.Fleet) + "@" + url.PathEscape(o.Node) + ".lock"
		paths = append(paths, filepath.Join(o.RunDir, name))
	}
	me := Holder{PID: os.Getpid(), State: o.Dir, Socket: o.Socket, Since: time.Now().UTC().Truncate(time.Second)}
	for _, p := range paths {
		l, err := takeLock(p, me)
		if err != nil {
			return held, err
		}
		held = append(held, l)
	}
	return held, nil
}

func takeLock(path string, me Holder) (*lock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		held := &HeldError{Lock: path}
		// An unreadable holder is still a holder.
		_ = json.NewDecoder(f).Decode(&held.Holder)
		return nil, observed.Wrap("open state", filepath.Dir(path), observed.Refused, held, held.hint())
	}
	data, err := json.Marshal(me)
	if err == nil {
		err = errors.Join(f.Truncate(0), writeAt(f, append(data, '\n')))
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("write lock %s: %w", path, err)
	}
	return &lock{f}, nil
}

func writeAt(f *os.File, data []byte) error {
	_, err := f.WriteAt(data, 0)
	return err
}

// controllerID returns the id in dir, or makes one.
func controllerID(dir string) (string, error) {
	path := filepath.Join(dir, "controller")
	data, err := os.ReadFile(path)
	if err == nil {
		if id := strings.TrimSpace(string(data)); id != "" {
			return id, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read controller id: %w", err)
	}
	var raw [8]byte
	rand.Read(raw[:]) // never errs
	id := hex.EncodeToString(raw[:])
	if err := writeWhole(path, []byte(id+"\n")); err != nil {
		return "", fmt.Errorf("write controller id: %w", err)
	}
	return id, nil
}

// writeWhole makes path hold data, all of it or nothing, and durable.
func writeWhole(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone after the rename
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
