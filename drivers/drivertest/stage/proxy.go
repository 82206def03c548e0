package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"

	"github.com/gitops-fleet/reconcile/drivers/caddy"
	"github.com/gitops-fleet/reconcile/drivers/caddy/wire"
	"github.com/gitops-fleet/reconcile/plans"
)

// TheProxy is the reconcile-caddy of this stage, as the host's configuration
// has it.
func (s *Stage) TheProxy() caddy.Proxy {
	dir := filepath.Join(s.State, "caddy")
	return caddy.Proxy{Binary: filepath.Join(s.Bin, "reconcile-caddy"), Dir: dir,
		Socket: filepath.Join(dir, "admin.sock"), Listen: []string{s.Proxy}}
}

// StopProxy ends the proxy; not running is no error.
func (s *Stage) StopProxy(ctx context.Context) error { return caddy.Stop(ctx, s.TheProxy()) }

// ProxyHealth asks the proxy how it is, and which process it is.
func (s *Stage) ProxyHealth(ctx context.Context) (wire.Health, error) {
	var h wire.Health
	return h, s.admin(ctx, http.MethodGet, "/health", nil, 0, &h)
}

// Routes is the proxy's table.
func (s *Stage) Routes(ctx context.Context) (wire.Table, error) {
	var t wire.Table
	return t, s.admin(ctx, http.MethodGet, "/entries", nil, 0, &t)
}

// EditRoute changes a tenant's entry behind the back of reconcile.
func (s *Stage) EditRoute(ctx context.Context, e plans.Entry, revision uint64) error {
	return s.admin(ctx, http.MethodPut, "/entries/"+e.Tenant, e, revision, &wire.Done{})
}

// admin makes one call to the proxy's admin socket.
func (s *Stage) admin(ctx context.Context, method, path string, body any, revision uint64, into any) error {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://proxy"+wire.Base+path, r)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("If-Match", fmt.Sprint(revision))
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.TheProxy().Socket)
	}}}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, bytes.TrimSpace(b))
	}
	return json.Unmarshal(b, into)
}
