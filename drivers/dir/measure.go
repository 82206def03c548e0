package dir

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// written adds up what is allocated below path for files that are not the same
// in since, a copy made earlier; with since "" for all of them. A file is the
// same if its size and its time of change are: a copy keeps both. One with
// several names counts once.
func written(ctx context.Context, path, since string) (int64, error) {
	top, err := os.OpenRoot(path)
	if err != nil {
		return 0, err
	}
	defer top.Close()
	var before *os.Root
	if since != "" {
		if before, err = os.OpenRoot(since); err != nil {
			return 0, err
		}
		defer before.Close()
	}
	var sum int64
	counted := map[inode]bool{}
	err = fs.WalkDir(top.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, fs.ErrNotExist):
			return nil // removed by a running writer meanwhile
		case err != nil:
			return err
		case !e.Type().IsRegular():
			return nil
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		key := inode{stat(info).Dev, stat(info).Ino}
		if counted[key] || before != nil && unchanged(before, name, info) {
			return nil
		}
		counted[key] = true
		// A file with holes has fewer blocks than bytes.
		sum += min(info.Size(), stat(info).Blocks*512)
		return nil
	})
	return sum, err
}

// unchanged says that the file is in the earlier copy as it is now.
func unchanged(before *os.Root, name string, now fs.FileInfo) bool {
	was, err := before.Lstat(filepath.FromSlash(name))
	return err == nil && was.Mode().IsRegular() && was.Size() == now.Size() && was.ModTime().Equal(now.ModTime())
}
