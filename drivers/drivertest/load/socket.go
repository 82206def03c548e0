package load

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// talk keeps one websocket open and sends messages that must come back. A
// socket that ends is a failure; another one is then opened.
func (w *worker) talk(ctx context.Context) {
	var c *websocket.Conn
	defer func() {
		if c != nil {
			c.CloseNow()
		}
	}()
	for n := 0; w.goOn(ctx); n++ {
		began := time.Now()
		err := w.message(ctx, &c, fmt.Sprintf("%s-%d", w.name, n))
		if ctx.Err() != nil {
			return
		}
		w.run.note(outcome{kind: w.kind, took: time.Since(began), err: err})
	}
}

func (w *worker) message(ctx context.Context, c **websocket.Conn, text string) error {
	ctx, cancel := context.WithTimeout(ctx, w.Patience)
	defer cancel()
	if *c == nil {
		opened, err := w.open(ctx)
		if err != nil {
			return err
		}
		*c = opened
	}
	err := (*c).Write(ctx, websocket.MessageText, []byte(text))
	if err == nil {
		var back []byte
		if _, back, err = (*c).Read(ctx); err == nil && string(back) != text {
			err = fmt.Errorf("sent %q, got %q back", text, back)
		}
	}
	if err != nil {
		(*c).CloseNow()
		*c = nil
	}
	return err
}

func (w *worker) open(ctx context.Context) (*websocket.Conn, error) {
	var d net.Dialer
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "tcp", w.Proxy) },
	}}
	c, _, err := websocket.Dial(ctx, "ws://"+w.Host+"/echo", &websocket.DialOptions{HTTPClient: client})
	return c, err
}
