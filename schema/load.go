package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gitops-fleet/reconcile/plans"
)

// Options says what to load and what is known already.
type Options struct {
	// Root is the folder that holds the plans; "" is the root of the file
	// system. Files are named by their path from there.
	Root string
	// Hash names the content of a file by its path in the file system, as git
	// does by its blobs. "" means not known. nil: nothing is known, and every
	// file is read to see whether it changed.
	Hash func(path string) string
	// Cache keeps what was parsed for the next Load; nil keeps nothing.
	Cache *Cache
}

// Load reads every plan document below a folder, in the order of the paths.
//
// Every *.yaml and *.yml file is a plan file, except in folders named files
// (which hold what services take with files.from) and in files and folders
// whose name starts with a dot. A file that is no plan is a problem, and so is
// a folder without any plan file. The error is for what could not be read: it
// is never taken for an empty plan, and comes without documents.
//
// The documents must not be changed: with a Cache they are handed out again.
func Load(fsys fs.FS, o Options) ([]plans.Document, []plans.Problem, error) {
	root := path.Clean(o.Root)
	found, problems, err := planFiles(fsys, root)
	if err != nil {
		return nil, nil, fmt.Errorf("load plans: %w", err)
	}
	if len(found) == 0 && len(problems) == 0 {
		return nil, []plans.Problem{{Pos: plans.Pos{File: root}, Text: "no plan file is below this folder",
			Hint: "plans are files whose names end in .yaml or .yml; check the path that is configured"}}, nil
	}
	entries, err := readAll(fsys, root, found, o)
	if err != nil {
		return nil, nil, fmt.Errorf("load plans: %w", err)
	}
	var docs []plans.Document
	for _, e := range entries {
		docs = append(docs, e.docs...)
		problems = append(problems, e.problems...)
	}
	o.Cache.keep(found, entries)
	return docs, problems, nil
}

// readAll returns what each file holds. Files are read one after the other, as
// a file system may want it, and parsed on all processors.
func readAll(fsys fs.FS, root string, files []string, o Options) ([]entry, error) {
	type job struct {
		n    int
		text []byte
	}
	entries := make([]entry, len(files))
	jobs := make(chan job)
	var parsing sync.WaitGroup
	var same sharing
	// Workers that stay, as the stack that parsing needs is grown once then.
	for range runtime.GOMAXPROCS(0) {
		parsing.Go(func() {
			for j := range jobs {
				entries[j.n].parse(strings.TrimPrefix(files[j.n], root+"/"), j.text, &same)
			}
		})
	}
	// entries is not ours to give up before the workers have ended.
	defer parsing.Wait()
	defer close(jobs)
	for n, file := range files {
		known, text, err := o.Cache.read(fsys, file, o.Hash)
		if err != nil {
			return nil, err
		}
		entries[n] = known
		if text != nil {
			jobs <- job{n, text}
		}
	}
	return entries, nil
}

// parse fills in what a file of this text holds.
func (e *entry) parse(name string, text []byte, same *sharing) {
	docs, problems := Parse(name, text)
	for n := range docs {
		same.document(&docs[n])
	}
	if e.hash != "" {
		for n := range docs {
			docs[n].Hash = e.hash + "#" + strconv.Itoa(n)
		}
	}
	e.docs, e.problems = slices.Clip(docs), problems
}

// planFiles walks the folder. What is there and cannot be a plan file by its
// nature, such as a symbolic link, is a problem.
func planFiles(fsys fs.FS, root string) (files []string, problems []plans.Problem, err error) {
	err = fs.WalkDir(fsys, root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if p != root && (d.Name() == "files" || strings.HasPrefix(d.Name(), ".")) {
				return fs.SkipDir
			}
			return nil
		case p == root:
			return &fs.PathError{Op: "read", Path: p, Err: errors.New("not a folder")}
		}
		ext := path.Ext(p)
		if strings.HasPrefix(d.Name(), ".") || (ext != ".yaml" && ext != ".yml") {
			return nil
		}
		if !d.Type().IsRegular() {
			problems = append(problems, plans.Problem{Pos: plans.Pos{File: strings.TrimPrefix(p, root+"/")},
				Text: "the file is no regular file", Hint: "put the plan itself here; links are not followed"})
			return nil
		}
		files = append(files, p)
		return nil
	})
	return files, problems, err
}

// Cache keeps parsed files between loads by the hash of their content, so that
// a commit costs what it changes. The zero Cache is ready; it may be used by
// several goroutines, for one Options.Root: positions name files from there. It
// holds what the last Load found and nothing older.
type Cache struct {
	mu    sync.Mutex
	files map[string]entry // by path in the file system

	parsed int // files parsed since the cache was made
}

type entry struct {
	hash     string
	docs     []plans.Document
	problems []plans.Problem
}

// Parsed counts the files that had to be parsed since the cache was made.
func (c *Cache) Parsed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parsed
}

func (c *Cache) keep(files []string, entries []entry) {
	if c == nil {
		return
	}
	next := make(map[string]entry, len(files))
	for i, file := range files {
		next[file] = entries[i]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.files = next
}

// read returns what is known of the file, or its text if that has to be parsed
// (never nil then) and an entry that holds its hash only. c may be nil.
func (c *Cache) read(fsys fs.FS, file string, hash func(string) string) (entry, []byte, error) {
	key := ""
	if hash != nil {
		key = hash(file)
	}
	if e, ok := c.known(file, key); ok {
		return e, nil, nil
	}
	text, err := readFile(fsys, file)
	if err != nil {
		return entry{}, nil, err
	}
	if key == "" && c != nil {
		sum := sha256.Sum256(text)
		key = "sha256:" + hex.EncodeToString(sum[:])
		if e, ok := c.known(file, key); ok {
			return e, nil, nil
		}
	}
	if c != nil {
		c.mu.Lock()
		c.parsed++
		c.mu.Unlock()
	}
	return entry{hash: key}, text, nil
}

func (c *Cache) known(file, key string) (entry, bool) {
	if c == nil || key == "" {
		return entry{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.files[file]
	return e, ok && e.hash == key
}

// readFile reads at most one byte more than Parse takes, so that a file too
// large to be a plan costs no more than that.
func readFile(fsys fs.FS, file string) ([]byte, error) {
	f, err := fsys.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return text, nil
}
