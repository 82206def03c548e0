package process

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// Watch implements drivers.Runtime. Instances that come and go are seen in
// their folder, what they do in the state they write down; and the end of a
// shim, also by SIGKILL, ends the connection to it.
func (r *Runtime) Watch(ctx context.Context, changed func(tenant string)) error {
	fail := func(err error) error {
		return observed.Wrap("watch", r.path(instancesDir), observed.Environment, err, "")
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fail(err)
	}
	notes := os.NewFile(uintptr(fd), "inotify") // non-blocking, so that Close ends a Read
	defer notes.Close()
	stop := context.AfterFunc(ctx, func() { notes.Close() })
	defer stop()
	w := &watcher{r: r, notes: fd, changed: changed, dirs: map[int32]plans.Key{}, open: map[plans.Key]bool{}}
	top, err := unix.InotifyAddWatch(fd, r.path(instancesDir), unix.IN_CREATE|unix.IN_DELETE|unix.IN_MOVED_FROM|unix.IN_MOVED_TO|unix.IN_ONLYDIR)
	if err != nil {
		return fail(err)
	}
	w.top = int32(top)
	entries, err := os.ReadDir(r.path(instancesDir))
	if err != nil {
		return fail(err)
	}
	inner, cancel := context.WithCancel(ctx)
	defer w.talks.Wait()
	defer cancel()
	for _, e := range entries {
		if key, ok := keyOf(e.Name()); ok {
			w.follow(inner, key)
		}
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := notes.Read(buf)
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fail(err)
		}
		if err := w.read(inner, buf[:n]); err != nil {
			return fail(err)
		}
	}
}

type watcher struct {
	r       *Runtime
	notes   int
	top     int32
	changed func(string)
	talks   sync.WaitGroup
	dirs    map[int32]plans.Key // watched directories of instances

	mu   sync.Mutex // guards open, and calls of changed
	open map[plans.Key]bool
}

func (w *watcher) tell(key plans.Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changed(key.Tenant)
}

// read takes in a batch of notes.
func (w *watcher) read(ctx context.Context, buf []byte) error {
	for len(buf) >= unix.SizeofInotifyEvent {
		e := (*unix.InotifyEvent)(unsafe.Pointer(&buf[0]))
		name := strings.TrimRight(string(buf[unix.SizeofInotifyEvent:unix.SizeofInotifyEvent+int(e.Len)]), "\x00")
		buf = buf[unix.SizeofInotifyEvent+int(e.Len):]
		switch {
		case e.Mask&unix.IN_Q_OVERFLOW != 0:
			return errors.New("notes were lost") // the caller looks at everything
		case e.Mask&unix.IN_IGNORED != 0:
			delete(w.dirs, e.Wd)
		case e.Wd == w.top:
			if key, ok := keyOf(name); ok {
				w.follow(ctx, key)
				w.tell(key)
			}
		default:
			if key, ok := w.dirs[e.Wd]; ok && (name == stateFile || name == routedFile) {
				w.follow(ctx, key) // a shim may have come
				w.tell(key)
			}
		}
	}
	return nil
}

// follow watches an instance's directory and listens to its shim, if there is
// one and that is not done yet.
func (w *watcher) follow(ctx context.Context, key plans.Key) {
	dir := w.r.dir(key)
	wd, err := unix.InotifyAddWatch(w.notes, dir, unix.IN_MOVED_TO|unix.IN_CREATE|unix.IN_DELETE|unix.IN_ONLYDIR)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			w.r.log.Warn("watch", "what", filepath.Base(dir), "err", err)
		}
		return
	}
	w.dirs[int32(wd)] = key
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open[key] {
		return
	}
	w.open[key] = true
	w.talks.Add(1)
	go func() {
		defer w.talks.Done()
		w.listen(ctx, key)
	}()
}

// listen waits for the end of an instance's shim.
func (w *watcher) listen(ctx context.Context, key plans.Key) {
	c, err := w.r.dial(ctx, key)
	if err == nil {
		stop := context.AfterFunc(ctx, func() { c.Conn.Close() })
		_, err = c.Write([]byte(`{"ask":"` + askWatch + `"}` + "\n"))
		for err == nil {
			_, err = c.Read(make([]byte, 1))
		}
		stop()
		// Its processes are gone when the kernel says so, a moment later.
		_ = c.gone(ctx)
		c.Close()
	}
	w.mu.Lock()
	delete(w.open, key)
	w.mu.Unlock()
	if err != nil && !errors.Is(err, errGone) && ctx.Err() == nil {
		w.tell(key)
	}
}
