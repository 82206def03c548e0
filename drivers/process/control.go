package process

import (
	"time"

	"github.com/gitops-fleet/reconcile/plans/observed"
)

// The words a shim understands on its socket. One request and one answer a
// connection, each a line of JSON; watch is answered by nothing but the end of
// the connection, when the shim ends.
const (
	askStop    = "stop"
	askExec    = "exec"
	askListens = "listens"
	askHealth  = "health"
	askWatch   = "watch"
)

type request struct {
	Ask     string        `json:"ask"`
	Grace   time.Duration `json:"grace,omitempty"`
	Command []string      `json:"command,omitempty"`
	Port    int           `json:"port,omitempty"`
}

type answer struct {
	Error   string           `json:"error,omitempty"`
	Exit    int              `json:"exit,omitempty"`
	Out     string           `json:"out,omitempty"`
	Ours    bool             `json:"ours,omitempty"`   // listens
	Others  []string         `json:"others,omitempty"` // listens: inodes of sockets that are not ours
	Verdict observed.Verdict `json:"verdict,omitempty"`
}
