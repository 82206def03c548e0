package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// server answers on the instance's socket. Whoever may open the instance's
// directory (mode 0700) may ask.
type server struct {
	s        *shim
	listener net.Listener
	open     sync.WaitGroup
	ending   chan struct{}
}

// listen binds the socket; what an earlier shim left of its own goes first.
// The directory is entered for it, for the length of a socket's name is bounded.
func listen(s *shim) (*server, error) {
	if err := s.dir.Chdir(); err != nil {
		return nil, err
	}
	if err := os.Remove(sockFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: sockFile, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // its name means something else by then
	return &server{s: s, listener: l, ending: make(chan struct{})}, nil
}

func (v *server) loop() {
	for {
		c, err := v.listener.Accept()
		if err != nil {
			return
		}
		v.open.Add(1)
		go func() {
			defer v.open.Done()
			v.answer(c)
		}()
	}
}

func (v *server) close() { v.listener.Close() }

// wait gives open answers a moment to be written before the process ends.
func (v *server) wait() {
	close(v.ending)
	done := make(chan struct{})
	go func() { v.open.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Second):
	}
}

func (v *server) answer(c net.Conn) {
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	in := bufio.NewReader(io.LimitReader(c, 1<<20))
	var q request
	if err := json.NewDecoder(in).Decode(&q); err != nil {
		return
	}
	_ = c.SetReadDeadline(time.Time{})
	// A caller that goes away takes its request with it.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, c)
		cancel()
	}()
	if q.Ask == askWatch {
		select {
		case <-ctx.Done():
		case <-v.ending:
		}
		return
	}
	_ = json.NewEncoder(c).Encode(v.reply(ctx, q))
}

func (v *server) reply(ctx context.Context, q request) answer {
	switch q.Ask {
	case askStop:
		// An order once given is carried out, whether or not its giver lives.
		if err := v.s.stop(context.WithoutCancel(ctx), q.Grace); err != nil {
			return answer{Error: err.Error()}
		}
		return answer{}
	case askExec:
		return v.s.exec(ctx, q.Command)
	case askListens:
		ours, others, err := listens(q.Port)
		if err != nil {
			return answer{Error: err.Error()}
		}
		return answer{Ours: ours, Others: others}
	case askHealth:
		verdict, out := v.s.health.last()
		return answer{Verdict: verdict, Out: out}
	}
	return answer{Error: "unknown request " + q.Ask}
}
