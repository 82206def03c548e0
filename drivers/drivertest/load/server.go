package load

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Ledger is where servers note the posts they got. All slots of a tenant share
// one, so that a post which reached two of them shows.
type Ledger struct {
	mu   sync.Mutex
	seen map[string]int
}

// Note notes one post.
func (l *Ledger) Note(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		l.seen = make(map[string]int)
	}
	l.seen[id]++
}

// Compare returns the ids that were acknowledged and are not on the books, and
// those that are there more than once.
func (l *Ledger) Compare(posted []string) (lost, doubled []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range posted {
		if l.seen[id] == 0 {
			lost = append(lost, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(l.seen)) {
		if l.seen[id] > 1 {
			doubled = append(doubled, id)
		}
	}
	return lost, doubled
}

// Handler answers what Start sends: / with name, /count into ledger, /stream
// slowly, /echo as a websocket.
func Handler(name string, ledger *Ledger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) })
	mux.HandleFunc("POST /count", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<10))
		if id := r.URL.Query().Get("id"); err != nil || id == "" || string(body) != id {
			http.Error(w, "the body is not the id", http.StatusBadRequest)
			return
		}
		ledger.Note(string(body))
		fmt.Fprint(w, name)
	})
	mux.HandleFunc("/stream", stream)
	mux.HandleFunc("/echo", echo)
	return mux
}

// beat is the time between two lines of a streamed answer.
const beat = 50 * time.Millisecond

func stream(w http.ResponseWriter, r *http.Request) {
	long, err := time.ParseDuration(r.FormValue("for"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	tick := time.NewTicker(beat)
	defer tick.Stop()
	end := time.After(long)
	out := http.NewResponseController(w)
	for {
		select {
		case <-r.Context().Done():
			return
		case <-end:
			fmt.Fprint(w, End)
			return
		case at := <-tick.C:
			fmt.Fprintln(w, at.UnixMilli())
			if out.Flush() != nil {
				return
			}
		}
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	defer c.CloseNow()
	for {
		kind, text, err := c.Read(r.Context())
		if err != nil || c.Write(r.Context(), kind, text) != nil {
			return
		}
	}
}
