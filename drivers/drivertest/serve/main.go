// Command serve is the application the tests, the benchmarks and the demo run as
// a tenant: a small HTTP server that can be told to misbehave.
//
// Paths: / and /whoami answer who they are, /health says whether it is well,
// /count notes the id of a POST and /posts tells what was noted, /stream and
// /echo are those of package load, /data/NAME reads (GET) and appends to (POST) a
// file of $DATA.
//
// Environment: PORT (default 8080), VERSION (told by /health and /whoami), DELAY
// (a duration before it is healthy), FAIL: health (never healthy), exit (ends
// with status 3 at once), tell (prints $TOKEN and is never healthy), crash
// (ends with status 3 after a second), unmended (exit, until $DATA has a file
// mended), ONLY (tenants separated by commas: FAIL is meant for these alone),
// LISTEN (address to bind, default all).
//
// Instead of serving, `serve exit N` prints and exits with status N; that is
// what jobs run.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/load"
)

func main() {
	if len(os.Args) > 1 {
		os.Exit(job(os.Args[1:]))
	}
	switch fails() {
	case "exit":
		fmt.Fprintln(os.Stderr, "serve: told to fail at once")
		os.Exit(3)
	case "unmended":
		if _, err := os.Stat(filepath.Join(os.Getenv("DATA"), "mended")); err != nil {
			fmt.Fprintln(os.Stderr, "serve: told to fail until it is mended:", err)
			os.Exit(3)
		}
	case "tell":
		fmt.Fprintln(os.Stderr, "serve: the token is", os.Getenv("TOKEN"))
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

// fails is how this tenant was told to fail, "" if it was not.
func fails() string {
	only := os.Getenv("ONLY")
	if only != "" && !slices.Contains(strings.Split(only, ","), os.Getenv("TENANT")) {
		return ""
	}
	return os.Getenv("FAIL")
}

// port is where the application listens.
func port() string { return cmp.Or(os.Getenv("PORT"), "8080") }

// job is `serve exit N` or `serve check URL`, the latter for image healthchecks;
// a URL that is only a path is asked of the instance itself.
func job(args []string) int {
	if len(args) != 2 {
		fmt.Fprintln(os.Stderr, "serve: want: exit N, or check URL")
		return 2
	}
	switch args[0] {
	case "exit":
		n, err := strconv.Atoi(args[1])
		if err != nil {
			fmt.Fprintln(os.Stderr, "serve:", err)
			return 2
		}
		if n == 0 {
			fmt.Println("done")
		} else {
			fmt.Println("broken")
		}
		return n
	case "check":
		url := args[1]
		if strings.HasPrefix(url, "/") { // of this very instance, wherever it listens
			url = "http://127.0.0.1:" + port() + url
		}
		res, err := http.Get(url)
		if err != nil {
			fmt.Println(err)
			return 1
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			fmt.Println(res.Status)
			return 1
		}
		return 0
	}
	fmt.Fprintf(os.Stderr, "serve: unknown job %q\n", args[0])
	return 2
}

type server struct {
	version string
	fail    string
	well    time.Time // healthy from then on
	data    string

	mu    sync.Mutex // guards posts
	posts []string
}

func serve() error {
	s := &server{version: os.Getenv("VERSION"), fail: fails(), well: time.Now(), data: os.Getenv("DATA")}
	if d := os.Getenv("DELAY"); d != "" {
		delay, err := time.ParseDuration(d)
		if err != nil {
			return fmt.Errorf("DELAY: %w", err)
		}
		s.well = s.well.Add(delay)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", s.whoami)
	mux.HandleFunc("/health", s.health)
	mux.HandleFunc("POST /count", s.count)
	mux.HandleFunc("/posts", s.book)
	// Streams and websockets are as the load wants them.
	shared := load.Handler(s.version, nil)
	mux.Handle("/stream", shared)
	mux.Handle("/echo", shared)
	mux.HandleFunc("/data/{name}", s.file)
	l, err := net.Listen("tcp", net.JoinHostPort(os.Getenv("LISTEN"), port()))
	if err != nil {
		return err
	}
	fmt.Printf("serve: version %q on %s\n", s.version, l.Addr())
	if s.fail == "crash" {
		time.AfterFunc(time.Second, func() {
			fmt.Fprintln(os.Stderr, "serve: told to crash")
			os.Exit(3)
		})
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	srv := &http.Server{Handler: mux}
	done := make(chan error, 1)
	go func() {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		done <- srv.Shutdown(end)
	}()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	fmt.Println("serve: stopped")
	return <-done
}

func (s *server) whoami(w http.ResponseWriter, r *http.Request) {
	host, _ := os.Hostname()
	w.Header().Set("X-Version", s.version)
	fmt.Fprintf(w, "version=%s tenant=%s slot=%s host=%s method=%s path=%s\n", s.version, os.Getenv("TENANT"), os.Getenv("SLOT"), host, r.Method, r.URL.Path)
}

func (s *server) health(w http.ResponseWriter, _ *http.Request) {
	if s.fail == "health" || s.fail == "tell" || time.Now().Before(s.well) {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "not well")
		return
	}
	fmt.Fprint(w, s.version)
}

// count notes a post by its id. With a data directory the book is the file
// posts in it, so that both slots of a tenant that share a volume share it.
func (s *server) count(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<10))
	id := r.URL.Query().Get("id")
	if err != nil || id == "" || string(body) != id {
		http.Error(w, "the body is not the id", http.StatusBadRequest)
		return
	}
	if s.data == "" {
		s.mu.Lock()
		s.posts = append(s.posts, id)
		s.mu.Unlock()
	} else if err := appendLine(filepath.Join(s.data, "posts"), id); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, s.version)
}

// book tells the ids noted in memory, a line each.
func (s *server) book(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.posts {
		fmt.Fprintln(w, id)
	}
}

// appendLine adds a line with one write, which O_APPEND makes whole.
func appendLine(file, line string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n")
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// file reads or writes one file of the data directory. A write is on disk
// before it is acknowledged.
func (s *server) file(w http.ResponseWriter, r *http.Request) {
	if s.data == "" {
		http.Error(w, "no DATA directory", http.StatusNotFound)
		return
	}
	root, err := os.OpenRoot(s.data)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer root.Close()
	name := filepath.Base(r.PathValue("name"))
	if r.Method != http.MethodPost {
		b, err := root.ReadFile(name)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		w.Write(b)
		return
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = io.Copy(f, r.Body)
		if err == nil {
			err = f.Sync()
		}
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
