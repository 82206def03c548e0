// Package load sends requests through a proxy without a pause and counts what
// became of each one, exactly: its clients never retry, so that a request the
// proxy lost is a request that failed here.
//
//	run := load.Start(ctx, load.Config{Proxy: "127.0.0.1:8080", Host: "acme.example.com"})
//	… switches …
//	result := run.Stop()
//
// The upstream must answer what Handler answers; the tests' own servers do.
package load
