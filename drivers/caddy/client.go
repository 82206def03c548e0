package caddy

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/caddy/wire"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// callLimit bounds a call whose context has no deadline. A change waits for
// two fsyncs; everything else is memory.
const callLimit = 15 * time.Second

// startHint is what an operator does about a proxy that is not there.
const startHint = "start it: systemctl start reconcile-caddy, or reconcile-caddy run --config FILE; see docs/drivers-caddy.md"

// client calls the table's part of the admin endpoint.
type client struct {
	socket string
	http   *http.Client
}

func newClient(socket string) *client {
	var d net.Dialer
	return &client{socket: socket, http: &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return d.DialContext(ctx, "unix", socket)
			},
			MaxIdleConnsPerHost: 4,
			IdleConnTimeout:     30 * time.Second, // below the 60 s after which Caddy closes it
		},
	}}
}

// call is one call to the admin endpoint.
type call struct {
	op, ref  string // for the error
	method   string
	path     string // below wire.Base
	query    url.Values
	revision *uint64 // If-Match
	id       string
	body     any
}

// do carries out a call and decodes its answer into out.
func (c *client) do(ctx context.Context, k call, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	req, err := c.request(ctx, k)
	if err != nil {
		return observed.Wrap(k.op, k.ref, observed.Refused, err, "")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(k, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return failure(k, res)
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return observed.Wrap(k.op, k.ref, observed.Environment, fmt.Errorf("read the proxy's answer: %w", err), "")
	}
	return nil
}

func (c *client) request(ctx context.Context, k call) (*http.Request, error) {
	var body io.Reader
	if k.body != nil {
		b, err := json.Marshal(k.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	u := url.URL{Scheme: "http", Host: "caddy", Path: wire.Base + k.path, RawQuery: k.query.Encode()}
	req, err := http.NewRequestWithContext(ctx, k.method, u.String(), body)
	if err != nil {
		return nil, err
	}
	if k.revision != nil {
		req.Header.Set("If-Match", strconv.FormatUint(*k.revision, 10))
	}
	if k.id != "" {
		req.Header.Set("X-Request-Id", k.id)
	}
	return req, nil
}

// unreachable names why the proxy did not answer. Whether a change was made
// is then not known; the caller looks.
func (c *client) unreachable(k call, err error) error {
	hint := startHint
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		hint = "the proxy did not answer in time: look at its log"
	}
	var op *url.Error
	if errors.As(err, &op) {
		err = op.Err // without the made-up URL
	}
	return observed.Wrap(k.op, cmp.Or(k.ref, "proxy"), observed.Environment, fmt.Errorf("proxy at %s: %w", c.socket, err), hint)
}

// failure turns an answer other than 200 into a problem.
func failure(k call, res *http.Response) error {
	var f wire.Failure
	text, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10)) // as much as there is
	if json.Unmarshal(text, &f) != nil || f.Error == "" {
		f.Error = fmt.Sprintf("the proxy answered %s", res.Status)
	}
	class, hint := observed.Environment, ""
	switch res.StatusCode {
	case http.StatusPreconditionFailed:
		class = observed.Conflict
	case http.StatusConflict:
		class, hint = observed.Refused, "the other tenant gives it up first, or the plan names the host twice"
	case http.StatusBadRequest:
		class = observed.Refused
	case http.StatusNotFound:
		hint = "the proxy on this socket is not reconcile-caddy: it has no tenant table"
	case http.StatusServiceUnavailable:
		hint = `the proxy's configuration needs the app "tenant_table"`
	case http.StatusInsufficientStorage:
		hint = "free some space on the disk that holds the route table"
	}
	return observed.Wrap(k.op, k.ref, class, errors.New(f.Error), hint)
}
