package caddy

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/caddy/wire"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

// probe sends marked requests through the proxy's own listener.
type probe struct {
	scheme, address string
	http            *http.Client
}

func newProbe(proxy string) (*probe, error) {
	if !strings.Contains(proxy, "://") {
		proxy = "http://" + proxy
	}
	u, err := url.Parse(proxy)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("open router caddy: proxy %q is neither http://host:port nor https://host:port", proxy)
	}
	p := &probe{scheme: u.Scheme, address: u.Host}
	if u.Port() == "" {
		p.address = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	var d net.Dialer
	p.http = &http.Client{
		// A new connection each time: a check shows what a new client meets.
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return d.DialContext(ctx, "tcp", p.address)
			},
			TLSClientConfig:    &tls.Config{InsecureSkipVerify: loopback(p.address)},
			DisableKeepAlives:  true,
			DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return p, nil
}

// loopback says whether an address cannot leave this host. There the mark
// proves who answers, and a certificate that has run out must not stop a way
// back; anywhere else the certificate is verified.
func loopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// check sends one marked request and reads who answered.
func (p *probe) check(ctx context.Context, secret, host, path string) (drivers.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	u := url.URL{Scheme: p.scheme, Host: host, Path: path} // https takes its server name from it
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return drivers.Answer{}, observed.Wrap("check", host, observed.Refused, err, "")
	}
	req.Header.Set(wire.MarkHeader, wire.MarkScheme+secret)
	res, err := p.http.Do(req)
	if err != nil {
		return drivers.Answer{}, observed.Wrap("check", host, observed.Environment, err, startHint)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // let the slot finish a small answer

	revision, err := strconv.ParseUint(res.Header.Get(wire.RevisionHeader), 10, 64)
	if err != nil {
		return drivers.Answer{}, observed.Wrap("check", host, observed.Environment,
			fmt.Errorf("%s is not answered by our proxy (status %d)", p.address, res.StatusCode),
			"is another web server on this address, or the proxy address of the configuration another one's?")
	}
	return drivers.Answer{
		Slot:     plans.Slot(res.Header.Get(wire.SlotHeader)),
		Revision: revision,
		Status:   res.StatusCode,
	}, nil
}
