// Command writer is the application of the durability stories: it keeps a ledger
// of numbers, and acknowledges one when it is on disk.
//
// POST /count?id=N with N as body writes N into the ledger, GET /ledger answers
// it, one number a line; POST /fill?bytes=N puts a file of that many random bytes
// beside it; / and /health answer the version.
//
// `writer freeze` and `writer thaw`, run on the same data, have the one that serves
// write nothing, and go on.
//
// Environment: PORT (default 8080), VERSION, DATA (the folder of the ledger),
// FAIL=health (never healthy), FOLLOW (the address of a peer: numbers come from
// its /ledger?from=N and not by POST; healthy once all that the peer had at the
// start are here).
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

func main() {
	run := serve
	if args := os.Args[1:]; len(args) > 0 {
		run = func() error { return hook(args) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "writer:", err)
		os.Exit(1)
	}
}

// version is told with every answer.
var version = os.Getenv("VERSION")

func serve() error {
	l, err := open(os.Getenv("DATA"))
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	control, err := l.control()
	if err != nil {
		return err
	}
	defer control.Close()
	well := func() bool { return os.Getenv("FAIL") != "health" }
	if peer := os.Getenv("FOLLOW"); peer != "" {
		f := &follower{ledger: l, peer: peer}
		go f.follow(ctx)
		well = f.caughtUp
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, version) })
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		if !well() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(w, version)
	})
	mux.HandleFunc("POST /count", l.count)
	mux.HandleFunc("/ledger", l.tell)
	mux.HandleFunc("POST /fill", fill)
	srv := &http.Server{Handler: mux}
	listener, err := net.Listen("tcp", net.JoinHostPort("", cmp.Or(os.Getenv("PORT"), "8080")))
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		done <- srv.Shutdown(end)
	}()
	if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return errors.Join(<-done, l.close())
}

// count acknowledges a number once it is on disk.
func (l *ledger) count(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<10))
	if err != nil || id == "" || string(body) != id {
		http.Error(w, "the body is not the number", http.StatusBadRequest)
		return
	}
	if err := l.add(id); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, version)
}

// fill writes bytes that no file system can make less of.
func fill(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.URL.Query().Get("bytes"), 10, 64)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f, err := os.Create(filepath.Join(os.Getenv("DATA"), "filling"))
	if err == nil {
		_, err = io.CopyN(f, rand.Reader, n)
		if err == nil {
			err = f.Sync()
		}
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// tell answers the ledger from the N-th number on.
func (l *ledger) tell(w http.ResponseWriter, r *http.Request) {
	from, err := strconv.Atoi(cmp.Or(r.URL.Query().Get("from"), "0"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, line := range l.since(from) {
		fmt.Fprintln(w, line)
	}
}
