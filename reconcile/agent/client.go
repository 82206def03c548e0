package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// Client asks a running agent over its control socket.
type Client struct {
	http *http.Client
}

// ErrNoDaemon says that no agent answers on a state directory's socket.
var ErrNoDaemon = errors.New("no daemon answers")

// Dial returns a client of the agent that serves dir, or ErrNoDaemon.
func Dial(ctx context.Context, dir string) (*Client, error) {
	path := filepath.Join(dir, SocketName)
	dial := func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "unix", path) }
	conn, err := dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w on %s: %w", ErrNoDaemon, path, err)
	}
	conn.Close()
	return NewClient(dial), nil
}

// NewClient returns a client that reaches its agent by dial.
func NewClient(dial func(context.Context) (net.Conn, error)) *Client {
	return &Client{&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}}}
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// open sends a request and returns the body of a good answer. A bad answer's
// Problem is the error.
func (c *Client) open(ctx context.Context, method, path string, q url.Values) (io.ReadCloser, error) {
	return c.send(ctx, method, path, q, nil)
}

func (c *Client) send(ctx context.Context, method, path string, q url.Values, body io.Reader) (io.ReadCloser, error) {
	u := url.URL{Scheme: "http", Host: "agent", Path: path, RawQuery: q.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask daemon: %w", err)
	}
	if res.StatusCode == http.StatusOK {
		return res.Body, nil
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("ask daemon: %w", err)
	}
	var l Line
	if json.Unmarshal(text, &l) == nil && l.Problem != nil {
		return nil, l.Problem
	}
	return nil, fmt.Errorf("ask daemon: %s: %s", res.Status, bytes.TrimSpace(text))
}

func (c *Client) call(ctx context.Context, method, path string, q url.Values, into any) error {
	body, err := c.open(ctx, method, path, q)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(into); err != nil {
		return fmt.Errorf("read the daemon's answer: %w", err)
	}
	return nil
}

// Status asks for the node at a glance, or for the named tenants.
func (c *Client) Status(ctx context.Context, tenant ...string) (s Status, err error) {
	err = c.call(ctx, http.MethodGet, "/api/status", url.Values{"tenant": tenant}, &s)
	return s, err
}

// Drift asks which tenants drifted.
func (c *Client) Drift(ctx context.Context) (d []TenantDrift, err error) {
	err = c.call(ctx, http.MethodGet, "/api/drift", nil, &d)
	return d, err
}

// Explain asks for all that is known of a tenant.
func (c *Client) Explain(ctx context.Context, tenant string) (e Explanation, err error) {
	err = c.call(ctx, http.MethodGet, "/api/explain/"+url.PathEscape(tenant), nil, &e)
	return e, err
}

// Data asks for the data of a tenant.
func (c *Client) Data(ctx context.Context, tenant string) (l Lineage, err error) {
	err = c.call(ctx, http.MethodGet, "/api/data/"+url.PathEscape(tenant), nil, &l)
	return l, err
}

// RestoreCost asks what going back to a snapshot would leave behind.
func (c *Client) RestoreCost(ctx context.Context, tenant, snapshot string) (costs []Cost, err error) {
	err = c.call(ctx, http.MethodGet, "/api/restore/"+url.PathEscape(tenant), url.Values{"snapshot": {snapshot}}, &costs)
	return costs, err
}

// Restore asks that the data of a tenant go back; see Agent.Restore.
func (c *Client) Restore(ctx context.Context, tenant, snapshot string, granted bool) error {
	q := url.Values{"snapshot": {snapshot}}
	if granted {
		q.Set("granted", "1")
	}
	return c.call(ctx, http.MethodPost, "/api/restore/"+url.PathEscape(tenant), q, &struct{}{})
}

// DryRun asks what a pass would do with the plan; nil is the newest commit's.
func (c *Client) DryRun(ctx context.Context, plan *plans.Plan) (p Preview, err error) {
	if plan == nil {
		return p, c.call(ctx, http.MethodGet, "/api/preview", nil, &p)
	}
	text, err := json.Marshal(plan)
	if err != nil {
		return p, fmt.Errorf("encode plan: %w", err)
	}
	body, err := c.send(ctx, http.MethodPost, "/api/preview", nil, bytes.NewReader(text))
	if err != nil {
		return p, err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(&p); err != nil {
		return p, fmt.Errorf("read the daemon's answer: %w", err)
	}
	return p, nil
}

// Nudge asks the agent to read the repository and to look at everything now.
func (c *Client) Nudge(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/api/nudge", nil, &struct{}{})
}

// Rollback asks a tenant to go back; see Agent.Rollback.
func (c *Client) Rollback(ctx context.Context, tenant string) error {
	return c.call(ctx, http.MethodPost, "/api/rollback/"+url.PathEscape(tenant), nil, &struct{}{})
}

// Pass asks for a pass and follows it: fn is called with every line but the last.
func (c *Client) Pass(ctx context.Context, fn func(Line)) (Outcome, error) {
	body, err := c.open(ctx, http.MethodPost, "/api/pass", nil)
	if err != nil {
		return Outcome{}, err
	}
	defer body.Close()
	for dec := json.NewDecoder(body); ; {
		var l Line
		if err := dec.Decode(&l); err != nil {
			return Outcome{}, fmt.Errorf("follow pass: %w", err)
		}
		switch {
		case l.Outcome != nil:
			return *l.Outcome, nil
		case l.Problem != nil:
			return Outcome{}, l.Problem
		case fn != nil:
			fn(l)
		}
	}
}

// Events calls fn with the events q selects, and with follow with every later
// one until ctx ends.
func (c *Client) Events(ctx context.Context, q journal.Query, follow bool, fn func(journal.Logged)) error {
	v := url.Values{"tenant": {q.Tenant}, "rollout": {q.Rollout}, "after": {strconv.FormatUint(q.After, 10)}, "last": {strconv.Itoa(q.Last)}}
	if !q.Since.IsZero() {
		v.Set("since", q.Since.Format(time.RFC3339Nano))
	}
	if follow {
		v.Set("follow", "1")
	}
	body, err := c.open(ctx, http.MethodGet, "/api/events", v)
	if err != nil {
		return err
	}
	defer body.Close()
	for dec := json.NewDecoder(body); ; {
		var e journal.Logged
		err := dec.Decode(&e)
		switch {
		case errors.Is(err, io.EOF) || ctx.Err() != nil:
			return nil
		case err != nil:
			return observed.Wrap("follow events", "", observed.Transient, err, "")
		}
		fn(e)
	}
}
