package schema

import (
	"encoding/json"
	"sync"

	"github.com/gitops-fleet/reconcile/plans"
)

// sharing has documents that say the same hold it once: of ten thousand tenants
// of one template most say little more than its name and a label, and a map for
// each would take more memory than all that is theirs alone. The zero sharing is
// ready, for several goroutines.
type sharing struct {
	mu     sync.Mutex
	specs  map[string]map[string]any
	labels map[string]map[string]string
}

// document replaces what d holds by what an earlier one held, if it says the same.
func (s *sharing) document(d *plans.Document) {
	for _, v := range d.Spec {
		switch v.(type) {
		case map[string]any, []any:
			return // what is the tenant's own is seldom another's, and costs more to compare
		}
	}
	spec, err := json.Marshal(d.Spec)
	if err != nil {
		return // no JSON: not ours to judge
	}
	labels, err := json.Marshal(d.Labels)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.specs == nil {
		s.specs, s.labels = map[string]map[string]any{}, map[string]map[string]string{}
	}
	if same, ok := s.specs[string(spec)]; ok {
		d.Spec = same
	}
	if same, ok := s.labels[string(labels)]; ok {
		d.Labels = same
	}
	s.specs[string(spec)], s.labels[string(labels)] = d.Spec, d.Labels
}
