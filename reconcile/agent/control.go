package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/reconcile"
	"github.com/gitops-fleet/reconcile/reconcile/journal"
)

// SocketName is the control socket's name in the state directory.
const SocketName = "control.sock"

// Line is one line of a followed pass: exactly one field is set. Outcome or
// Problem is the last.
type Line struct {
	Event    *reconcile.Event  `json:"event,omitempty"`
	Progress *Progress         `json:"progress,omitempty"`
	Outcome  *Outcome          `json:"outcome,omitempty"`
	Problem  *observed.Problem `json:"problem,omitempty"`
}

// Handler answers the control socket, and (only what reads: healthz, metrics,
// status) may be served elsewhere through Public.
//
//	GET  /healthz  /metrics  /api/status  /api/drift  /api/explain/TENANT  /api/data/TENANT
//	GET  /api/restore/TENANT?snapshot=      what it would leave behind
//	POST /api/restore/TENANT?snapshot=&granted=
//	GET  /api/events?after=&since=&tenant=&rollout=&last=&follow=1   JSON lines
//	GET  /api/preview                                         the dry-run of the newest commit
//	POST /api/preview                                         that of the resolved plan in the body
//	POST /api/pass                                            JSON lines (Line)
//	POST /api/nudge  /api/rollback/TENANT  /api/retry/TENANT
//	GET  /api/rollouts  /api/rollouts/ID                      RolloutView
//	POST /api/rollouts/ID/rollback                            a LocalDecision in the body; its reason and by count
//	POST /api/answer                                          a LocalDecision in the body
func (a *Agent) Handler() http.Handler {
	mux := a.public()
	mux.HandleFunc("GET /api/drift", func(w http.ResponseWriter, r *http.Request) { answer(w, a.Drift(), nil) })
	mux.HandleFunc("GET /api/data/{tenant}", func(w http.ResponseWriter, r *http.Request) {
		l, err := a.Data(r.Context(), r.PathValue("tenant"))
		answer(w, l, err)
	})
	mux.HandleFunc("GET /api/restore/{tenant}", func(w http.ResponseWriter, r *http.Request) {
		costs, err := a.RestoreCost(r.Context(), r.PathValue("tenant"), r.URL.Query().Get("snapshot"))
		answer(w, costs, err)
	})
	mux.HandleFunc("POST /api/restore/{tenant}", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		answer(w, struct{}{}, a.Restore(r.PathValue("tenant"), q.Get("snapshot"), q.Get("granted") != ""))
	})
	mux.HandleFunc("GET /api/explain/{tenant}", func(w http.ResponseWriter, r *http.Request) {
		e, err := a.Explain(r.PathValue("tenant"))
		answer(w, e, err)
	})
	mux.HandleFunc("GET /api/preview", func(w http.ResponseWriter, r *http.Request) {
		if err := a.fetch(r.Context()); err != nil {
			answer(w, nil, err)
			return
		}
		p, err := a.DryRun(r.Context(), nil)
		answer(w, p, err)
	})
	mux.HandleFunc("POST /api/preview", func(w http.ResponseWriter, r *http.Request) {
		var plan plans.Plan
		if err := json.NewDecoder(r.Body).Decode(&plan); err != nil {
			answer(w, nil, observed.Wrap("read plan", "", observed.Refused, err, "use the same version of reconcile as the daemon"))
			return
		}
		p, err := a.DryRun(r.Context(), &plan)
		answer(w, p, err)
	})
	mux.HandleFunc("GET /api/events", a.serveEvents)
	mux.HandleFunc("POST /api/pass", a.servePass)
	mux.HandleFunc("POST /api/nudge", func(w http.ResponseWriter, r *http.Request) {
		err := a.fetch(r.Context())
		a.Refresh()
		answer(w, struct{}{}, err)
	})
	mux.HandleFunc("POST /api/rollback/{tenant}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, struct{}{}, a.Rollback(r.PathValue("tenant")))
	})
	a.rolloutRoutes(mux)
	return mux
}

// Public answers what may be read by anybody who may reach the address:
// /healthz, /metrics and /api/status.
func (a *Agent) Public() http.Handler { return a.public() }

func (a *Agent) public() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		if err := a.Healthy(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /api/status", func(w http.ResponseWriter, r *http.Request) {
		answer(w, a.Status(r.URL.Query()["tenant"]...), nil)
	})
	return mux
}

// Healthy returns nil while the agent's loop turns and its journal can be written.
func (a *Agent) Healthy() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p := a.journal.Problem; p != nil {
		return fmt.Errorf("the journal cannot be written since %s, nothing is acted on: %w", a.journal.Since.UTC().Format(time.RFC3339), p)
	}
	if a.looping.TryLock() {
		a.looping.Unlock()
		return errors.New("the loop is not running")
	}
	return nil
}

// fetch reads the plan repository now, where the agent was told how.
func (a *Agent) fetch(ctx context.Context) error {
	if a.cfg.Fetch == nil {
		return nil
	}
	return a.cfg.Fetch(ctx)
}

func answer(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		v = Line{Problem: observed.Wrap("", "", observed.ClassOf(err), err, "")}
	}
	// A reader that went away is no error of ours.
	_ = json.NewEncoder(w).Encode(v)
}

// lines writes one JSON value a line, each at once.
type lines struct {
	enc   *json.Encoder
	flush func() error
}

func newLines(w http.ResponseWriter) lines {
	w.Header().Set("Content-Type", "application/jsonl")
	return lines{json.NewEncoder(w), http.NewResponseController(w).Flush}
}

func (l lines) write(v any) error { return errors.Join(l.enc.Encode(v), l.flush()) }

func (a *Agent) serveEvents(w http.ResponseWriter, r *http.Request) {
	q, err := eventQuery(r)
	if err != nil {
		answer(w, nil, err)
		return
	}
	var live <-chan reconcile.Event
	if r.URL.Query().Get("follow") != "" {
		// Heard before the log is read, so that none falls between.
		live = a.Subscribe(r.Context())
	}
	logged, err := a.Events(q)
	if err != nil {
		answer(w, nil, err)
		return
	}
	out := newLines(w)
	for i := range logged {
		if out.write(&logged[i]) != nil {
			return
		}
		q.After = logged[i].Seq
	}
	if live == nil {
		return
	}
	q.Last = 0
	for range live {
		more, err := a.Events(q)
		if err != nil {
			return
		}
		for i := range more {
			if out.write(&more[i]) != nil {
				return
			}
			q.After = more[i].Seq
		}
	}
}

func eventQuery(r *http.Request) (q journal.Query, err error) {
	v := r.URL.Query()
	q.Tenant, q.Rollout = v.Get("tenant"), v.Get("rollout")
	if s := v.Get("after"); s != "" {
		q.After, err = strconv.ParseUint(s, 10, 64)
	}
	if s := v.Get("last"); s != "" && err == nil {
		q.Last, err = strconv.Atoi(s)
	}
	if s := v.Get("since"); s != "" && err == nil {
		q.Since, err = time.Parse(time.RFC3339Nano, s)
	}
	return q, err
}

// servePass reads the repository, looks at everything, and follows until the
// pass is over or the asker goes away; the tenants go on in either case.
func (a *Agent) servePass(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	out := newLines(w)
	heard := a.listen(ctx)
	type end struct {
		outcome Outcome
		err     error
	}
	done := make(chan end, 1)
	go func() {
		if err := a.fetch(ctx); err != nil {
			done <- end{err: err}
			return
		}
		a.Refresh()
		o, err := a.Pass(ctx)
		done <- end{o, err}
	}()
	for {
		select {
		case l, ok := <-heard:
			if !ok || out.write(l) != nil {
				return
			}
		case e := <-done:
			for len(heard) > 0 {
				if l := <-heard; out.write(l) != nil {
					return
				}
			}
			last := Line{Outcome: &e.outcome}
			if e.err != nil {
				last = Line{Problem: observed.Wrap("", "", observed.ClassOf(e.err), e.err, "")}
			}
			_ = out.write(last) // nobody is left to tell
			return
		}
	}
}

// Serve answers the control socket until ctx ends. The state's lock must be
// held: a socket left by a dead process is replaced.
func (a *Agent) Serve(ctx context.Context, dir string) error {
	path := filepath.Join(dir, SocketName)
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace control socket: %w", err)
	}
	l, err := net.Listen("unix", fresh)
	if err != nil {
		return observed.Wrap("listen", fresh, observed.Refused, err,
			"a socket's path may have at most 107 bytes: choose a shorter state directory")
	}
	// It gets its name when nobody else can connect to it.
	if err := errors.Join(os.Chmod(fresh, 0o600), os.Rename(fresh, path)); err != nil {
		l.Close()
		return fmt.Errorf("protect control socket: %w", err)
	}
	defer os.Remove(path)
	return a.ServeOn(ctx, l)
}

// ServeOn answers the control API on l until ctx ends, and closes it.
func (a *Agent) ServeOn(ctx context.Context, l net.Listener) error {
	s := &http.Server{
		Handler: a.Handler(), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(a.log.Handler(), slog.LevelWarn),
	}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve control socket: %w", err)
	}
	return nil
}
