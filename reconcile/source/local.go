package source

import (
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5"
)

// Local reads the commits of a repository that somebody else keeps, such as a
// person's clone: its Tree, Commit and LastAuthor. It has no remote. dir is for
// what it says.
func Local(repo *git.Repository, dir, path string) *Source {
	return &Source{cfg: Config{Path: strings.Trim(filepath.ToSlash(filepath.Clean("/"+path)), "/"), Dir: dir}, repo: repo}
}
