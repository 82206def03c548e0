package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/drivers/caddy"
	"github.com/gitops-fleet/reconcile/drivers/mem"
)

// adminSocket is where the proxy is told what to do.
func (s settings) adminSocket() string {
	return cmp.Or(s.Drivers.Caddy.Admin, s.at("caddy", "admin.sock"))
}

// ownsProxy says that the proxy is ours to start and to keep. Where the
// configuration names its admin socket, a service manager runs it.
func (s settings) ownsProxy() bool { return s.Drivers.Caddy.Admin == "" }

// openRouter reaches the proxy. A look where no proxy was ever started finds an
// empty table, which is what a first pass would find.
func openRouter(set settings, owner drivers.Owner) (drivers.Router, error) {
	admin := set.adminSocket()
	if _, err := os.Stat(admin); err != nil && set.scratch != "" {
		return mem.New(mem.Config{Now: time.Now}).Router(), nil
	}
	return caddy.New(caddy.Config{Admin: admin, Proxy: "http://" + localAddress(set.Drivers.Caddy.Listen), Owner: owner})
}

// startProxy starts the proxy detached, or adopts the one that answers.
func startProxy(ctx context.Context, set settings) (caddy.Running, error) {
	return caddy.Start(ctx, set.proxy())
}

// proxy is the proxy as this host's configuration has it.
func (s settings) proxy() caddy.Proxy {
	return caddy.Proxy{
		Binary: proxyBinary(s.Drivers.Caddy.Binary),
		Dir:    cmp.Or(s.Drivers.Caddy.State, s.at("caddy")),
		Socket: s.adminSocket(), Listen: []string{s.Drivers.Caddy.Listen},
	}
}

// noticeLimit bounds a question to the proxy for status.
const noticeLimit = time.Second

// notices say that the proxy is not the one that would be started now.
func (s settings) notices() []string {
	if !s.ownsProxy() {
		return nil // a service manager knows what it started
	}
	ctx, cancel := context.WithTimeout(context.Background(), noticeLimit)
	defer cancel()
	text := s.proxy().Outdated(ctx)
	if text == "" {
		return nil
	}
	return []string{text + "; that takes effect when it is started again: end it in a quiet moment, and the daemon or the next pass starts it from its own table"}
}

// keepProxy starts the proxy again whenever it ends, until ctx does. It serves
// from its own table at once; back is called for the rest to be looked at.
func keepProxy(ctx context.Context, set settings, log *slog.Logger, back func()) error {
	pause := proxyPause
	for {
		running, err := startProxy(ctx, set)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			log.Error("proxy does not start", "err", err, "again", pause)
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(pause):
			}
			pause = min(2*pause, time.Minute)
			continue
		}
		if running.Started {
			log.Warn("proxy had ended and was started again", "pid", running.PID)
			back()
		}
		began := time.Now()
		if err := awaitEnd(ctx, running.PID); err != nil {
			return err
		}
		// One that keeps ending is not started in a tight loop.
		if time.Since(began) < pause {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(pause):
			}
			pause = min(2*pause, time.Minute)
		} else {
			pause = proxyPause
		}
	}
}

// proxyPause is the first pause before a proxy that does not stay up is started
// again; it doubles up to a minute.
const proxyPause = 100 * time.Millisecond

// endPoll is how often awaitEnd looks whether it shall give up waiting.
const endPoll = 500 * time.Millisecond

// awaitEnd waits until a process that need not be a child has ended, or ctx has.
func awaitEnd(ctx context.Context, pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return context.Cause(ctx) // it has ended already
	}
	defer unix.Close(fd)
	for ctx.Err() == nil {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(endPoll.Milliseconds()))
		if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return nil
		}
	}
	return context.Cause(ctx)
}

// proxyBinary is the configured one, else the one beside us, else by PATH.
func proxyBinary(configured string) string {
	if configured != "" {
		return configured
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "reconcile-caddy")
		if _, err := exec.LookPath(beside); err == nil {
			return beside
		}
	}
	return "reconcile-caddy"
}

// localAddress turns a listen address into one to connect to from here.
func localAddress(listen string) string {
	if strings.HasPrefix(listen, ":") {
		return "127.0.0.1" + listen
	}
	return strings.Replace(listen, "0.0.0.0:", "127.0.0.1:", 1)
}
