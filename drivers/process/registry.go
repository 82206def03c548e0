package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// errPlain says that a registry would have been asked in clear text.
var errPlain = errors.New("plain http is only for registries on loopback")

// httpsElsewhere keeps requests, credentials among them, from going in clear
// text to another host. The client library would do so for private networks.
type httpsElsewhere struct{ next http.RoundTripper }

func (t httpsElsewhere) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !loopback(req.URL.Hostname()) {
		return nil, fmt.Errorf("ask %s: %w", req.URL.Host, errPlain)
	}
	return t.next.RoundTrip(req)
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// remote are the options of every request to a registry. Nothing is tried
// again here: the caller does that, with backoff and with a word about it.
func (r *Runtime) remote(ctx context.Context) []remote.Option {
	return []remote.Option{
		remote.WithContext(ctx),
		remote.WithAuthFromKeychain(r.cfg.Keychain),
		remote.WithTransport(httpsElsewhere{remote.DefaultTransport}),
		remote.WithUserAgent("reconcile"),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
		remote.WithRetryPredicate(func(error) bool { return false }),
		remote.WithRetryStatusCodes(0),
	}
}

// refused is what is wrong with an image itself: no second attempt mends it.
type refused struct {
	error
	hint string // what to do; "" is about images that are not whole
}

func (r refused) Unwrap() error { return r.error }

func refusal(format string, args ...any) error { return refused{error: fmt.Errorf(format, args...)} }

// wrongPlatform refuses an image that is for other machines.
func (r *Runtime) wrongPlatform(have string) error {
	here := r.cfg.OS + "/" + r.cfg.Arch
	return refused{fmt.Errorf("it is for %s, this host is %s", have, here), "build and push it for " + here}
}

// pullProblem gives a failed pull its class.
func (r *Runtime) pullProblem(ctx context.Context, ref string, err error) error {
	if ctx.Err() != nil {
		return observed.Wrap("pull", ref, observed.Transient, errors.Join(context.Cause(ctx), err), "")
	}
	var bad refused
	var answer *transport.Error
	switch {
	case errors.Is(err, errCorrupt):
		return observed.Wrap("pull", ref, observed.Transient, err, "the layer is fetched again; if this repeats, look at the disk")
	case errors.As(err, &bad):
		return observed.Wrap("pull", ref, observed.Refused, err, cmp.Or(bad.hint, "look whether the image was pushed whole, and by whom"))
	case errors.Is(err, errPlain):
		return observed.Wrap("pull", ref, observed.Refused, err, "give the registry a certificate")
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return observed.Wrap("pull", ref, observed.Environment, err, "free some space on the disk of "+r.cfg.Root+"; it goes on by itself")
	case errors.As(err, &answer):
		switch answer.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			return observed.Wrap("pull", ref, observed.Refused, err, "log this host in to the registry: docker login, in ~/.docker/config.json of the user that runs reconcile or where drivers.process.credentials says")
		case http.StatusNotFound:
			return observed.Wrap("pull", ref, observed.Refused, err, "look whether the image was pushed, and whether the digest is right")
		}
	}
	// Also content that is not what its digest says: the registry's fault, or that
	// of something on the way.
	return observed.Wrap("pull", ref, observed.Environment, err, "look whether the registry answers from this host, and answers right")
}
