package load

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Count is what became of the requests of one kind. Sent = OK + Failed.
type Count struct {
	Sent, OK, Failed int
	Errors           []string // of the first few that failed
	Slowest          time.Duration
}

// Result is what became of all requests of a run.
type Result struct {
	Kinds map[Kind]Count
	// Posted are the ids of the posts that were answered 200. Each must be on
	// the server's books exactly once (Ledger.Compare).
	Posted []string
	Took   time.Duration
}

// Sent is the number of requests of all kinds.
func (r Result) Sent() (n int) {
	for _, c := range r.Kinds {
		n += c.Sent
	}
	return n
}

// Failed is the number of requests of all kinds that failed.
func (r Result) Failed() (n int) {
	for _, c := range r.Kinds {
		n += c.Failed
	}
	return n
}

// Errors are the first errors of each kind.
func (r Result) Errors() []string {
	var out []string
	for _, k := range Kinds {
		for _, e := range r.Kinds[k].Errors {
			out = append(out, string(k)+": "+e)
		}
	}
	return out
}

// String is one line: "12,345 requests, 0 failed (get 10,000/0, …), slowest 12ms".
func (r Result) String() string {
	var each []string
	var slowest time.Duration
	for _, k := range Kinds {
		c, ok := r.Kinds[k]
		if !ok {
			continue
		}
		each = append(each, fmt.Sprintf("%s %d/%d", k, c.Sent, c.Failed))
		if k != Stream {
			slowest = max(slowest, c.Slowest)
		}
	}
	return fmt.Sprintf("%d requests in %s, %d failed (%s), slowest %s",
		r.Sent(), r.Took.Round(time.Millisecond), r.Failed(), strings.Join(each, ", "), slowest.Round(10*time.Microsecond))
}

// errorsKept is how many error texts are kept of each kind.
const errorsKept = 5

func (c *Count) add(o outcome) {
	c.Sent++
	c.Slowest = max(c.Slowest, o.took)
	if o.err == nil {
		c.OK++
		return
	}
	c.Failed++
	if len(c.Errors) < errorsKept && !slices.Contains(c.Errors, o.err.Error()) {
		c.Errors = append(c.Errors, o.err.Error())
	}
}

// outcome is what became of one request.
type outcome struct {
	kind Kind
	id   string // of a post
	took time.Duration
	err  error
}
