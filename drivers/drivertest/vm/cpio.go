package vm

import (
	"fmt"
	"io"
	"os"
	"path"
	"slices"
)

// archive writes files in the format kernels read (cpio, newc): directories
// first, every file executable.
type archive struct {
	w     io.Writer
	inode int
	dirs  []string
}

const (
	dirMode  = 0o040755
	fileMode = 0o100755
)

// text adds a small file.
func (a *archive) text(name, content string) error {
	if err := a.parents(name); err != nil {
		return err
	}
	if err := a.header(name, fileMode, int64(len(content))); err != nil {
		return err
	}
	return a.padded(io.WriteString(a.w, content))
}

// file adds a file of this machine.
func (a *archive) file(name, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := a.parents(name); err != nil {
		return err
	}
	if err := a.header(name, fileMode, info.Size()); err != nil {
		return err
	}
	n, err := io.CopyN(a.w, f, info.Size())
	return a.padded(int(n), err)
}

// close ends the archive.
func (a *archive) close() error { return a.header("TRAILER!!!", 0, 0) }

// parents adds the folders a name is in, once.
func (a *archive) parents(name string) error {
	dir := path.Dir(name)
	if dir == "." || slices.Contains(a.dirs, dir) {
		return nil
	}
	if err := a.parents(dir); err != nil {
		return err
	}
	a.dirs = append(a.dirs, dir)
	return a.header(dir, dirMode, 0)
}

func (a *archive) header(name string, mode int, size int64) error {
	a.inode++
	// Magic, inode, mode, uid, gid, links, mtime, size, four device numbers,
	// length of the name with its NUL, checksum.
	n, err := fmt.Fprintf(a.w, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		a.inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name)+1, 0, name)
	return a.padded(n, err)
}

// padded fills up to the next word of four bytes.
func (a *archive) padded(n int, err error) error {
	if err == nil && n%4 != 0 {
		_, err = a.w.Write(make([]byte, 4-n%4))
	}
	return err
}
