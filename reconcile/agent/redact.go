package agent

import (
	"strings"
	"sync"
)

// redacted stands where a secret stood.
const redacted = "[redacted]"

// shortest secret that is replaced. A shorter value ("1", "on") is in every
// other line and hides nothing.
const shortestSecret = 6

// Redactor removes values read from host files from text that a person or the
// journal will see. It is fed by whoever reads such a file, and safe for use by
// many goroutines.
type Redactor struct {
	mu     sync.RWMutex // guards values and replacer
	values map[string]bool
	made   *strings.Replacer // nil after values grew
}

// Feed adds the values of an env file ("KEY=value" lines, comments, optional
// quotes), and any further line as it is.
func (r *Redactor) Feed(content []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		value := line
		if _, v, ok := strings.Cut(line, "="); ok {
			value = v
		}
		r.add(value)
		r.add(strings.Trim(strings.TrimSpace(value), `"'`))
	}
}

func (r *Redactor) add(v string) {
	if len(v) < shortestSecret || r.values[v] {
		return
	}
	if r.values == nil {
		r.values = map[string]bool{}
	}
	r.values[v] = true
	r.made = nil
}

// Text returns s without the values fed.
func (r *Redactor) Text(s string) string {
	r.mu.RLock()
	made, n := r.made, len(r.values)
	r.mu.RUnlock()
	if n == 0 || s == "" {
		return s
	}
	if made == nil {
		made = r.build()
	}
	return made.Replace(s)
}

func (r *Redactor) build() *strings.Replacer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.made == nil {
		pairs := make([]string, 0, 2*len(r.values))
		// Of two values at one place the longer goes first, or the rest of it
		// would stay.
		for _, v := range sortedKeys(r.values, func(a, b string) int { return len(b) - len(a) }) {
			pairs = append(pairs, v, redacted)
		}
		r.made = strings.NewReplacer(pairs...)
	}
	return r.made
}
