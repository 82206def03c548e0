package plans

import (
	"cmp"
	"fmt"
	"slices"
)

// Options is what Resolve needs beyond the documents.
type Options struct {
	// Node is the host's name. Tenants of other nodes are checked like all and
	// then left out. A tenant that names no node belongs to every node, which
	// with one host is that host. "" keeps the tenants of all nodes.
	Node string
	// Commit is copied into the plan.
	Commit string
	// File returns the content of a file of the same commit, by its path from
	// the root of the plan. nil: there are no such files.
	File func(path string) ([]byte, error)
	// Memory spares what did not change since it was last given; nil: all is
	// resolved anew.
	Memory *Memory
}

// Resolve merges the documents into the plan for one node. Its tenants are in
// plan order: by the label ring, then by name. Resolve returns every problem
// it finds, sorted by place; with any problem the plan is nil, so that nobody
// acts on half of one.
func Resolve(docs []Document, o Options) (*Plan, []Problem) {
	r := newResolver(docs, o)
	plan := &Plan{Commit: o.Commit, Policies: r.policies, Tenants: make([]Tenant, 0, len(r.tenants))}
	if r.fleet != nil {
		plan.Fleet = r.fleet.Name
		plan.PruneBudget = r.read(r.fleet).integer(root.at("pruneBudget"), r.fleet.Spec["pruneBudget"])
	}
	for i := range docs {
		if docs[i].Kind == KindDecision {
			plan.Decisions = append(plan.Decisions, r.decision(&docs[i]))
		}
	}
	for name := range Sorted(r.templates) {
		r.base(name) // also those that no tenant uses are checked
	}
	claims := newClaims(r)
	before, next := r.recall(docs)
	for _, d := range r.tenants {
		t, known := before.known(r, d)
		s := &subject{r: r, tenant: d.Name, layers: []layer{{name: "tenant", doc: d, raw: d.Spec}}}
		if !known {
			var made draft
			made, s = r.tenant(d)
			t = made.Tenant
		}
		next.note(r, d, t)
		claims.tenant(&t, s)
		if o.Node == "" || t.Node == "" || t.Node == o.Node {
			plan.Tenants = append(plan.Tenants, t)
			continue
		}
		if plan.Elsewhere == nil {
			plan.Elsewhere = map[string]string{}
		}
		plan.Elsewhere[t.Name] = t.Node
	}
	if problems := r.found.sorted(); len(problems) > 0 {
		return nil, problems
	}
	slices.SortFunc(plan.Tenants, func(a, b Tenant) int {
		return cmp.Or(cmp.Compare(a.Labels["ring"], b.Labels["ring"]), cmp.Compare(a.Name, b.Name))
	})
	if o.Memory != nil {
		o.Memory.keep(r, next, plan)
	}
	return plan, nil
}

// resolver holds what the tenants of one plan have in common.
type resolver struct {
	o         Options
	fleet     *Document
	templates map[string]*Document
	tenants   []*Document // by place in the plan's files
	byName    map[string]*Document
	policies  map[string]BatchPolicy
	policyAt  map[string]Pos
	bases     map[string]*base
	files     map[string]File // by path
	found     problems
}

func newResolver(docs []Document, o Options) *resolver {
	r := &resolver{
		o:         o,
		templates: map[string]*Document{},
		byName:    map[string]*Document{},
		policies:  map[string]BatchPolicy{},
		policyAt:  map[string]Pos{},
		bases:     map[string]*base{},
		files:     map[string]File{},
	}
	taken := map[[2]string]*Document{}
	for i := range docs {
		d := &docs[i]
		key := [2]string{string(d.Kind), d.Name}
		if first := taken[key]; first != nil {
			r.found.add(d.At, "/metadata/name", fmt.Sprintf("there are two %ss named %s; the other is at %s", d.Kind, d.Name, first.At), "give one of them another name")
			continue
		}
		taken[key] = d
		r.checkName(d)
		switch d.Kind {
		case KindFleet:
			if r.fleet != nil {
				r.found.add(d.At, "/kind", fmt.Sprintf("a plan has exactly one Fleet; the other is %s at %s", r.fleet.Name, r.fleet.At), "keep one of them")
				continue
			}
			r.fleet = d
		case KindTemplate:
			r.templates[d.Name] = d
		case KindTenant:
			r.tenants = append(r.tenants, d)
			r.byName[d.Name] = d
		case KindBatchPolicy:
			r.policies[d.Name], r.policyAt[d.Name] = r.policy(d), d.At
		case KindDecision:
		default:
			r.found.add(d.At, "/kind", fmt.Sprintf("there is no kind %q", d.Kind), "the kinds are Fleet, Template, Tenant, BatchPolicy and Decision")
		}
	}
	if r.fleet == nil {
		var at Pos
		if len(docs) > 0 {
			at = Pos{File: docs[0].At.File}
		}
		r.found.add(at, "/kind", "the plan has no Fleet document", "add one: {apiVersion: "+Version+", kind: Fleet, metadata: {name: …}}")
	}
	return r
}

func (r *resolver) checkName(d *Document) {
	if d.Kind == KindDecision {
		return // named for people alone
	}
	if why := badName(d.Name); why != "" {
		r.found.add(d.At, "/metadata/name", fmt.Sprintf("%s name %q %s", d.Kind, d.Name, why), "")
	}
}

// read returns a reader for the spec of a document that is in no layers.
func (r *resolver) read(d *Document) reader {
	return (&subject{r: r, layers: []layer{{doc: d, raw: d.Spec}}}).reader()
}

func (r *resolver) decision(d *Document) Decision {
	read := r.read(d)
	out := Decision{
		Name:     d.Name,
		Question: read.text(root.at("question"), d.Spec["question"]),
		Answer:   read.text(root.at("answer"), d.Spec["answer"]),
		Reason:   read.text(root.at("reason"), d.Spec["reason"]),
	}
	if out.Question == "" || out.Answer == "" {
		r.found.add(d.At, "/spec", "a decision names a question and its answer", "copy both from `reconcile status`")
	}
	return out
}
