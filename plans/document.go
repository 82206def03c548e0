package plans

// Kind is the kind of a document in a plan repository.
type Kind string

// The kinds.
const (
	KindFleet       Kind = "Fleet"
	KindTemplate    Kind = "Template"
	KindTenant      Kind = "Tenant"
	KindBatchPolicy Kind = "BatchPolicy"
	KindDecision    Kind = "Decision"
)

// Version is the apiVersion of every document.
const Version = "reconcile/v1"

// Pos is a place in a file of the plan repository. Line and Column count from 1.
type Pos struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// Document is one YAML document after the schema accepted it. Spec holds JSON
// values only (map[string]any, []any, string, float64, bool, nil).
type Document struct {
	Kind     Kind
	Name     string
	Labels   map[string]string
	Formerly string // metadata.formerly
	Spec     map[string]any
	At       Pos
	// Hash names the document's content, the same for the same content; "" is
	// not known. See Memory.
	Hash string
	// Zones are the time zones the spec names, with their rules.
	Zones map[string]Zone
	// Where gives the place of a field by its path ("/services/app/image"),
	// or the nearest parent that has one. Never nil after loading.
	Where func(path string) Pos
}

// Problem is one thing wrong with a plan: where, what, and what to do about it.
type Problem struct {
	Pos  Pos    `json:"pos"`
	Path string `json:"path,omitempty"` // of the field, "/spec/services/app/image"
	Text string `json:"text"`           // what is wrong and what was expected
	Hint string `json:"hint,omitempty"` // what to do, or what to run
}

// Plan is everything one commit says, resolved.
type Plan struct {
	Fleet     string // name of the Fleet document
	Commit    string // "" for a working tree
	Tenants   []Tenant
	Policies  map[string]BatchPolicy
	Decisions []Decision
	// Elsewhere is the node of each tenant that belongs to another one than the
	// plan was resolved for, by name.
	Elsewhere map[string]string
	// PruneBudget is the largest number of tenants one commit may remove or
	// let vanish without a question; 0 is the default of 3.
	PruneBudget int
}

// Tenant returns the named tenant, or nil.
func (p *Plan) Tenant(name string) *Tenant {
	for i := range p.Tenants {
		if p.Tenants[i].Name == name {
			return &p.Tenants[i]
		}
	}
	return nil
}

// Decision answers exactly one question.
type Decision struct {
	Name     string `json:"name"`
	Question string `json:"question"`
	Answer   string `json:"answer"`
	Reason   string `json:"reason,omitempty"`
}
