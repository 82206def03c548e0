package process

import (
	"time"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
)

// order is what an instance was made from. It is written once, when the
// instance is made, and is the mark by which we know it as ours.
type order struct {
	Fleet string `json:"fleet"`
	Node  string `json:"node"`

	plans.Key
	ID         string         `json:"id"`
	Digest     string         `json:"digest"`
	Generation string         `json:"generation,omitempty"`
	Attempt    string         `json:"attempt,omitempty"`
	Commit     string         `json:"commit,omitempty"`
	Image      string         `json:"image"` // digest the plan names
	Ports      map[string]int `json:"ports,omitempty"`
	Job        bool           `json:"job,omitempty"`
	Inputs     string         `json:"inputs,omitempty"`
	Created    time.Time      `json:"created"`

	Run run `json:"run"`
}

// owned says whether the instance is ours. The controller's id changes when
// the state directory is made anew, and is no part of the mark.
func (o *order) owned(by drivers.Owner) bool { return o.Fleet == by.Fleet && o.Node == by.Node }

// run is what the shim needs to know. It holds secrets (Env): the file is 0600.
type run struct {
	Lower    string   `json:"lower"` // image root, relative to Config.Root
	Copied   bool     `json:"copied,omitempty"`
	Hostname string   `json:"hostname"`
	Args     []string `json:"args"`
	Env      []string `json:"env"`
	Dir      string   `json:"dir"`
	UID      int      `json:"uid"`
	GID      int      `json:"gid"`
	Groups   []int    `json:"groups,omitempty"`
	Mapped   bool     `json:"mapped,omitempty"` // one id is all we have: it is already the wanted one
	Files    []placed `json:"files,omitempty"`
	Binds    []bind   `json:"binds,omitempty"` // outer before inner
	Tmpfs    []tmpfs  `json:"tmpfs,omitempty"`

	StopSignal  int           `json:"stopSignal"`
	StopTimeout time.Duration `json:"stopTimeout"` // where nobody says another grace
	Restart     string        `json:"restart,omitempty"`
	LogBytes    int64         `json:"logBytes"`

	Health *imageHealth `json:"health,omitempty"`
}

type placed struct {
	Path string `json:"path"`
	Mode uint32 `json:"mode"`
	Text string `json:"text"`
}

type bind struct {
	Path     string `json:"path"` // inside
	Host     string `json:"host"`
	ReadOnly bool   `json:"readOnly,omitempty"`
}

type tmpfs struct {
	Path string `json:"path"`
	Data string `json:"data"` // mount options
}

// imageHealth is the image's own healthcheck, with every default filled in.
type imageHealth struct {
	Command  []string      `json:"command"`
	Interval time.Duration `json:"interval"`
	Timeout  time.Duration `json:"timeout"`
	Start    time.Duration `json:"start"`
	Retries  int           `json:"retries"`
}

// state is what the shim saw. Only the shim writes it while it lives.
type state struct {
	Phase    string    `json:"phase"`
	Started  time.Time `json:"started,omitzero"` // of the command that runs or ran last
	Ended    time.Time `json:"ended,omitzero"`
	Exit     int       `json:"exit,omitempty"`
	Restarts int       `json:"restarts,omitempty"`
	Problem  string    `json:"problem,omitempty"` // why the command could not be started
	// Stopping says that somebody ordered it to stop, who may be gone by now.
	Stopping bool `json:"stopping,omitempty"`
}

// Phases of state.
const (
	phaseStarting = "starting"
	phaseRunning  = "running"
	phaseWaiting  = "waiting" // to be started again
	phaseExited   = "exited"
)

// Exit statuses that are not the command's own, as shells and Docker use them.
const (
	exitLost    = 255 // it ended and nobody was there to see how: killed with its shim, or the host went down
	exitNoExec  = 126
	exitNoFound = 127
	exitSignal  = 128 // plus the signal's number
)
