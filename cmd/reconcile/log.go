package main

import "log/slog"

// logger writes what the agent does to stderr where the user asks for it by
// RECONCILE_LOG; nil otherwise.
func (p *program) logger() *slog.Logger {
	if p.env("RECONCILE_LOG") == "" {
		return nil
	}
	return p.daemonLogger()
}

// daemonLogger writes to stderr, which is the service manager's to keep. A level
// that is none means info.
func (p *program) daemonLogger() *slog.Logger {
	level := slog.LevelInfo
	if err := level.UnmarshalText([]byte(p.env("RECONCILE_LOG"))); err != nil {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: level}))
}
