package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// A clone must outlive a power cut: without the remote, what was accepted can be
// read nowhere else. go-git writes objects and references without waiting for the
// disk, so that a reference may be there afterwards whose objects are not. So a
// fetch is marked in the clone from before it begins until all it wrote is on
// disk; a clone with the mark is made anew by the next fetch.
const fetching = "reconcile-fetching"

// unreadable is added to the name of a clone that gave way to another.
const unreadable = ".unreadable"

// mostPacks is how many packs a clone has before it is made anew. Each fetch adds
// one, and go-git, which looks into each for every object, does not merge them.
const mostPacks = 200

// open opens the clone. One that is not there, or cannot be read, is begun.
func open(dir string) (*git.Repository, error) {
	if repo, err := sound(dir); err == nil {
		return repo, mendIfFree(dir)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, err
	}
	var repo *git.Repository
	err := alone(context.Background(), dir, func() (err error) {
		if repo, err = sound(dir); err == nil {
			return nil // begun by another process meanwhile
		}
		if _, err := initAside(dir); err != nil {
			return err
		}
		repo, err = takePlace(dir)
		return err
	})
	return repo, err
}

// sound opens a clone that can be read.
func sound(dir string) (*git.Repository, error) {
	repo, err := openBare(dir)
	if err == nil {
		_, err = repo.Config()
	}
	return repo, err
}

// openBare opens a clone that keeps few of the objects it read: of a commit only
// what it changed is read again, and a plan has thousands of files.
func openBare(dir string) (*git.Repository, error) {
	repo, err := git.PlainOpen(dir)
	if err != nil {
		return nil, err
	}
	disk, ok := repo.Storer.(*filesystem.Storage)
	if !ok {
		return repo, nil
	}
	return git.Open(filesystem.NewStorage(disk.Filesystem(), cache.NewObjectLRU(objectCache)), nil)
}

// objectCache is how much content of objects is kept between reads.
const objectCache = 256 * cache.KiByte

// initAside begins a clone beside dir, so that a crash leaves no half made one
// under its name.
func initAside(dir string) (*git.Repository, error) {
	aside := dir + ".new"
	if err := os.RemoveAll(aside); err != nil {
		return nil, err
	}
	return git.PlainInit(aside, true)
}

// takePlace makes the clone beside dir durable and gives it the name. One that
// has the name is kept as dir.unreadable.
func takePlace(dir string) (*git.Repository, error) {
	if err := syncTree(dir+".new", nil); err != nil {
		return nil, err
	}
	if err := setAside(dir); err != nil {
		return nil, err
	}
	if err := os.Rename(dir+".new", dir); err != nil {
		return nil, err
	}
	if err := syncFile(filepath.Dir(dir)); err != nil {
		return nil, err
	}
	return openBare(dir)
}

func setAside(dir string) error {
	aside := dir + unreadable
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	return os.Rename(dir, aside)
}

func setRemote(repo *git.Repository, cfg Config) error {
	c, err := repo.Config()
	if err != nil {
		return err
	}
	if r, ok := c.Remotes[remoteName]; ok && len(r.URLs) == 1 && r.URLs[0] == cfg.URL {
		return nil
	}
	c.Remotes[remoteName] = &config.RemoteConfig{Name: remoteName, URLs: []string{cfg.URL}}
	return repo.SetConfig(c)
}

// alone has fn be the only one that fetches into the clone or makes it anew: a
// pass begun by hand reads the same one as the daemon. It locks the folder that
// holds the clone, for the clone itself may be replaced.
func alone(ctx context.Context, dir string, fn func() error) error {
	f, err := os.Open(filepath.Dir(dir))
	if err != nil {
		return err
	}
	defer f.Close() // and with it the lock
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return fn()
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for another process that fetches into %s: %w", dir, context.Cause(ctx))
		case <-time.After(lockPause): // a lock of another process wakes nobody
		}
	}
}

// lockPause is how long to wait before a lock is tried again.
const lockPause = 20 * time.Millisecond

// mendIfFree mends a clone unless somebody is at it.
func mendIfFree(dir string) error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := alone(ctx, dir, func() error { return mend(dir) }); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// cutOff says that a fetch was begun in the clone and did not end.
func cutOff(dir string) (bool, error) {
	_, err := os.Lstat(filepath.Join(dir, fetching))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// worn says that the clone is to be made anew.
func worn(dir string) (bool, error) {
	cut, err := cutOff(dir)
	if cut || err != nil {
		return cut, err
	}
	packs, err := filepath.Glob(filepath.Join(dir, "objects", "pack", "*.pack"))
	return len(packs) > mostPacks, err
}

// stamps tell files that were written from those that were not.
type stamps map[string]stamp

type stamp struct {
	size int64
	at   time.Time
}

// begin marks the clone and returns what is in it.
func begin(dir string) (stamps, error) {
	before := stamps{}
	err := walk(dir, func(path string, now stamp) error {
		before[path] = now
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, fetching), nil, 0o600); err != nil {
		return nil, err
	}
	return before, syncFile(dir)
}

// end makes durable what was written since before, and then takes off the mark.
func end(dir string, before stamps) error {
	if err := syncTree(dir, before); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, fetching)); err != nil {
		return err
	}
	return syncFile(dir)
}

// syncTree syncs the files and folders below dir that are not as they were before.
func syncTree(dir string, before stamps) error {
	return walk(dir, func(path string, now stamp) error {
		if was, ok := before[path]; ok && was == now {
			return nil
		}
		return syncFile(path)
	})
}

func walk(dir string, each func(path string, now stamp) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		return each(path, stamp{st.Size(), st.ModTime()})
	})
}

// syncFile makes a file, or the names in a folder, durable.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// tip is the head last fetched, if its commit and its folder can be read.
func tip(repo *git.Repository) (head string, ok bool) {
	ref, err := repo.Reference(fetchedRef, true)
	if err != nil {
		return "", false
	}
	c, err := repo.CommitObject(ref.Hash())
	if err != nil {
		return "", false
	}
	_, err = c.Tree()
	return ref.Hash().String(), err == nil
}

// mend takes away references that a power cut left without their content, which
// go-git takes for none and stumbles over: what they said is fetched again, or in
// the journal.
func mend(dir string) error {
	for _, name := range []plumbing.ReferenceName{fetchedRef, acceptedRef} {
		file := filepath.Join(dir, filepath.FromSlash(string(name)))
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && !plumbing.IsHash(strings.TrimSpace(string(text))) {
			err = os.Remove(file)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
