package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// worker is one client. It writes to its connection itself: an http.Transport
// would send some requests a second time and hide that the first was lost.
type worker struct {
	Config
	kind Kind
	name string
	run  *Run

	conn net.Conn
	in   *bufio.Reader
}

func (w *worker) work(ctx context.Context) {
	defer w.hangUp()
	if w.kind == Socket {
		w.talk(ctx)
		return
	}
	for n := 0; w.goOn(ctx); n++ {
		id := fmt.Sprintf("%s-%d", w.name, n)
		began := time.Now()
		err := w.ask(ctx, id)
		if ctx.Err() != nil {
			return // ended by the caller; nobody's failure
		}
		if err != nil || w.kind == Fresh {
			w.hangUp()
		}
		w.run.note(outcome{kind: w.kind, id: id, took: time.Since(began), err: err})
	}
}

// goOn waits for the pause to pass, and says whether to send again.
func (w *worker) goOn(ctx context.Context) bool {
	pause := time.NewTimer(w.Think)
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-w.run.stopping:
		return false
	case <-pause.C:
		return true
	}
}

// ask sends one request and reads the whole answer.
func (w *worker) ask(ctx context.Context, id string) error {
	if err := w.dial(ctx); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { w.conn.SetDeadline(time.Now()) })
	defer stop()
	req, err := w.request(id)
	if err != nil {
		return err
	}
	if err := req.Write(w.conn); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	res, err := http.ReadResponse(w.in, req)
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return fmt.Errorf("read answer's body: %w", err)
	case res.StatusCode != http.StatusOK:
		return errors.New(res.Status)
	case w.kind == Stream && !bytes.HasSuffix(body, []byte(End)):
		return errors.New("the stream ended early")
	case w.Expect != nil && w.kind != Stream:
		if err := w.Expect(w.kind, res, body); err != nil {
			return err
		}
	}
	if res.Close {
		w.hangUp()
	}
	return nil
}

func (w *worker) request(id string) (*http.Request, error) {
	method, path, body := http.MethodGet, w.Path, ""
	switch w.kind {
	case Post:
		method, path, body = http.MethodPost, "/count?id="+id, id
	case Stream:
		path = "/stream?for=" + w.Long.String()
	}
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, "http://"+w.Host+path, r)
	if err == nil && w.kind == Fresh {
		req.Close = true
	}
	return req, err
}

func (w *worker) dial(ctx context.Context) error {
	if w.conn == nil {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", w.Proxy)
		if err != nil {
			return err
		}
		w.conn, w.in = conn, bufio.NewReader(conn)
	}
	return w.conn.SetDeadline(time.Now().Add(w.Patience + w.Long))
}

func (w *worker) hangUp() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}
