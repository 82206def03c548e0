// Package room proves that a disk has room for an image before it is fetched:
// a pull into a full disk ends in its middle, and takes what is left from those
// who serve.
package room

import (
	"cmp"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Room is the disk that keeps the images of one runtime. It may be used by many
// at the same time.
type Room struct {
	keep int64 // bytes nobody's image takes

	mu      sync.Mutex // guards claimed
	claimed int64      // bytes of the pulls under way, written or not
}

// New makes the room of a runtime. keepFree is the host's floor in bytes; 0 is
// drivers.DefaultKeepFree, less than 0 is none.
func New(keepFree int64) *Room {
	return &Room{keep: min(max(0, cmp.Or(keepFree, drivers.DefaultKeepFree)), mostKept)}
}

// mostKept is more than a disk has, and small enough to be added to.
const mostKept = 1 << 60

// Image is what a pull is about to put on the disk.
type Image struct {
	Ref   string
	Dir   string // a folder on the disk
	Bytes int64  // at most, as far as it can be known
	Basis string // of Bytes, for a person: "12.0 MiB to fetch, …"
	Usage string // a command that says what takes the space
}

// Claim proves that the disk has room for an image and the floor besides, and
// keeps that room until release is called, so that pulls at the same time do not
// count on the same bytes. What a pull under way has already written is then
// counted twice: the other waits for its end rather than breaking the floor.
// A disk without room is an observed.Problem of class Environment.
func (r *Room) Claim(i Image) (release func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	free, err := Free(i.Dir)
	if err != nil {
		return nil, observed.Wrap("pull", i.Ref, observed.Environment, err, "look at the disk of "+i.Dir)
	}
	if free-r.claimed < i.Bytes+r.keep {
		beside := ""
		if r.claimed > 0 {
			beside = fmt.Sprintf(" (%s of it for pulls under way)", drivers.Size(r.claimed))
		}
		return nil, &observed.Problem{Op: "pull", Ref: i.Ref, Class: observed.Environment,
			Text: fmt.Sprintf("%s free in %s%s, %s needed: %s for the image (%s) and a floor of %s kept free for undoing",
				drivers.Size(free), i.Dir, beside, drivers.Size(i.Bytes+r.keep), drivers.Size(i.Bytes), i.Basis, drivers.Size(r.keep)),
			Hint: "free some space there (`" + i.Usage + "` says what takes it), or lower keepFree in this host's configuration; it goes on by itself"}
	}
	r.claimed += i.Bytes
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.claimed -= i.Bytes
	}), nil
}

// Free returns the bytes this user may still write to the disk of a folder.
func Free(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("look at free space of %s: %w", dir, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}
