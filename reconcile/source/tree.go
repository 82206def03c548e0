package source

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// maxBlob bounds one file of a plan. Plans and the small files they carry are
// text written by people.
const maxBlob = 4 << 20

// Tree is the plan's folder of one commit, read from the object store. It is an
// fs.FS (also ReadDirFS and ReadFileFS). Symlinks and submodules are refused
// when it is opened, because a link could lead out of what was reviewed.
type Tree struct {
	src   *Source
	files map[string]entry
	dirs  map[string][]fs.DirEntry
}

type entry struct {
	hash plumbing.Hash
	info info
}

// Tree opens the plan's folder at a commit that is here.
func (s *Source) Tree(hash string) (*Tree, error) {
	c, err := s.repo.CommitObject(plumbing.NewHash(hash))
	if err != nil {
		return nil, refused("read commit", hash, err, "run `reconcile` with the remote reachable to fetch it again")
	}
	root, err := c.Tree()
	if err != nil {
		return nil, refused("read commit", hash, err, "remove "+s.cfg.Dir+" to fetch it again")
	}
	if s.cfg.Path != "" {
		if root, err = root.Tree(s.cfg.Path); err != nil {
			return nil, refused("read commit", hash, fmt.Errorf("there is no folder %q in it", s.cfg.Path), "set --path or repo.path to the folder that holds the plan")
		}
	}
	t := &Tree{src: s, files: map[string]entry{}, dirs: map[string][]fs.DirEntry{".": nil}}
	if err := t.index(root, "."); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Tree) index(tree *object.Tree, dir string) error {
	for _, e := range tree.Entries {
		name := path.Join(dir, e.Name)
		switch e.Mode {
		case filemode.Dir:
			sub, err := object.GetTree(t.src.repo.Storer, e.Hash)
			if err != nil {
				return refused("read tree", name, err, "remove "+t.src.cfg.Dir+" to fetch it again")
			}
			t.dirs[dir] = append(t.dirs[dir], info{name: e.Name, mode: fs.ModeDir | 0o555})
			t.dirs[name] = nil
			if err := t.index(sub, name); err != nil {
				return err
			}
		case filemode.Regular, filemode.Executable, filemode.Deprecated:
			size, err := t.src.repo.Storer.EncodedObjectSize(e.Hash)
			if err != nil {
				return refused("read tree", name, err, "remove "+t.src.cfg.Dir+" to fetch it again")
			}
			if size > maxBlob {
				return refused("read tree", name, fmt.Errorf("%d bytes are more than a file of a plan may have (%d)", size, maxBlob), "keep large content in an image or on the host")
			}
			i := info{name: e.Name, size: size, mode: 0o444}
			t.dirs[dir] = append(t.dirs[dir], i)
			t.files[name] = entry{hash: e.Hash, info: i}
		case filemode.Symlink:
			return refused("read tree", name, fmt.Errorf("it is a symbolic link, which could lead out of what was reviewed"), "commit the file itself")
		case filemode.Submodule:
			return refused("read tree", name, fmt.Errorf("it is a submodule, whose content is not part of the commit"), "commit the files themselves")
		default:
			return refused("read tree", name, fmt.Errorf("it has the unknown mode %v", e.Mode), "commit it as a plain file")
		}
	}
	slices.SortFunc(t.dirs[dir], func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return nil
}

// Hash names the content of a file by its blob, "" if there is no such file: two
// commits with the same hash need not be parsed twice.
func (t *Tree) Hash(name string) string {
	if e, ok := t.files[name]; ok {
		return e.hash.String()
	}
	return ""
}

// ReadFile implements fs.ReadFileFS.
func (t *Tree) ReadFile(name string) ([]byte, error) {
	e, ok := t.files[name]
	if !ok {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	blob, err := t.src.repo.BlobObject(e.hash)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	r, err := blob.Reader()
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return b, nil
}

// ReadDir implements fs.ReadDirFS.
func (t *Tree) ReadDir(name string) ([]fs.DirEntry, error) {
	d, ok := t.dirs[name]
	if !ok {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	return slices.Clone(d), nil
}

// Open implements fs.FS.
func (t *Tree) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if d, ok := t.dirs[name]; ok {
		return &openDir{info: info{name: path.Base(name), mode: fs.ModeDir | 0o555}, left: d}, nil
	}
	b, err := t.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return &openFile{info: t.files[name].info, Reader: bytes.NewReader(b)}, nil
}

// info is fs.FileInfo and fs.DirEntry of a blob or tree. Git keeps no times.
type info struct {
	name string
	size int64
	mode fs.FileMode
}

func (i info) Name() string               { return i.name }
func (i info) Size() int64                { return i.size }
func (i info) Mode() fs.FileMode          { return i.mode }
func (i info) Type() fs.FileMode          { return i.mode.Type() }
func (i info) ModTime() time.Time         { return time.Time{} }
func (i info) IsDir() bool                { return i.mode.IsDir() }
func (i info) Sys() any                   { return nil }
func (i info) Info() (fs.FileInfo, error) { return i, nil }

type openFile struct {
	info info
	*bytes.Reader
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

type openDir struct {
	info info
	left []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }
func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: fs.ErrInvalid}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n > 0 && len(d.left) == 0 {
		return nil, io.EOF
	}
	if n <= 0 || n > len(d.left) {
		n = len(d.left)
	}
	out := slices.Clone(d.left[:n])
	d.left = d.left[n:]
	return out, nil
}
