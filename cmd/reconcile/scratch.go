package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
)

// scratched returns settings under which what is missing in the state directory
// is made in a temporary folder, and what removes that folder. Verbs that only
// look run on them: on a host they see what is there, and on any other machine
// they leave no trace.
func (s settings) scratched() (settings, func(), error) {
	dir, err := os.MkdirTemp("", "reconcile-look-")
	if err != nil {
		return s, nil, fmt.Errorf("make temporary folder: %w", err)
	}
	s.scratch = dir
	return s, func() { os.RemoveAll(dir) }, nil
}

// at is a path in the state directory.
func (s settings) at(name ...string) string {
	return filepath.Join(append([]string{s.State}, name...)...)
}

func (s settings) inScratch(name ...string) string {
	return filepath.Join(append([]string{s.scratch}, name...)...)
}

// place is where a part keeps its things: where the host says, else below the
// state directory. A look takes the temporary folder for what is not there yet.
func (s settings) place(configured, name string) string {
	dir := cmp.Or(configured, s.at(name))
	if s.scratch == "" {
		return dir
	}
	if _, err := os.Stat(dir); err != nil {
		return s.inScratch(name)
	}
	return dir
}
