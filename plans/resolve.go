package plans

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
}

// Resolve merges the documents into the plan for one node. It returns every
// problem it finds, sorted by place; with any problem the plan is nil, so that
// nobody acts on half of one.
func Resolve(docs []Document, o Options) (*Plan, []Problem) {
	return &Plan{Commit: o.Commit}, nil
}
