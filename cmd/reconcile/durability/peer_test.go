package durability

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

// peer is what a following writer fills its ledger from: numbers in order, more
// and more of them.
type peer struct {
	*httptest.Server
	mu      sync.Mutex // guards numbers
	numbers int
}

// newPeer adds a number at each tick, until t ends.
func newPeer(t *testing.T, tick time.Duration) *peer {
	p := &peer{}
	p.Server = httptest.NewServer(http.HandlerFunc(p.tell))
	stop := make(chan struct{})
	var ticking sync.WaitGroup
	ticking.Go(func() {
		for ticker := time.NewTicker(tick); ; {
			select {
			case <-stop:
				ticker.Stop()
				return
			case <-ticker.C:
				p.mu.Lock()
				p.numbers++
				p.mu.Unlock()
			}
		}
	})
	t.Cleanup(func() {
		close(stop)
		ticking.Wait()
		p.Close()
	})
	return p
}

func (p *peer) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.numbers
}

func (p *peer) tell(w http.ResponseWriter, r *http.Request) {
	from, err := strconv.Atoi(r.URL.Query().Get("from"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for n := from; n < p.count(); n++ {
		fmt.Fprintln(w, n)
	}
}
