// Command serve is the program in the test images: an HTTP server that tells
// its $VERSION, checks itself, and exits as it is told.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 {
		os.Exit(act(os.Args[1], os.Args[2:]))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, os.Getenv("VERSION")) })
	mux.HandleFunc("/env", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Join(os.Environ(), "\n")) })
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Query().Get("path")
		b, err := os.ReadFile(path)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		info, _ := os.Stat(path)
		fmt.Fprintf(w, "%v %s", info.Mode(), b)
	})
	mux.HandleFunc("/ask", func(w http.ResponseWriter, r *http.Request) {
		res, err := http.Get(r.URL.Query().Get("url"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		io.Copy(w, res.Body)
	})
	addr := net.JoinHostPort("", os.Getenv("PORT"))
	srv := &http.Server{Addr: addr, Handler: mux}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	go func() {
		<-ctx.Done()
		srv.Close()
	}()
	fmt.Println("serving", addr)
	if err := srv.ListenAndServe(); err != nil && err != http.ErrServerClosed {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func act(verb string, args []string) int {
	switch verb {
	case "exit":
		code, _ := strconv.Atoi(args[0])
		fmt.Println(map[bool]string{true: "done", false: "broken"}[code == 0])
		return code
	case "print":
		fmt.Print(strings.Repeat(args[0]+"\n", 1000))
		return 0
	case "check":
		client := http.Client{Timeout: time.Second}
		res, err := client.Get("http://127.0.0.1:" + os.Getenv("PORT") + "/health")
		if err != nil || res.StatusCode != http.StatusOK {
			fmt.Println("not well", err)
			return 1
		}
		fmt.Println("well")
		return 0
	}
	return 64
}
