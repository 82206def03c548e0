package observed_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

func TestWrap(t *testing.T) {
	if observed.Wrap("pull", "app", observed.Refused, nil, "") != nil {
		t.Error("no error is no problem")
	}
	cause := errors.New("connection reset")
	p := observed.Wrap("pull", "app", observed.Environment, cause, "is the registry up?")
	if p.Error() != "pull app: connection reset" || !errors.Is(p, cause) || observed.ClassOf(p) != observed.Environment {
		t.Errorf("%+v", p)
	}
	outer := observed.Wrap("start", "acme", observed.Transient, fmt.Errorf("make it: %w", p), "another hint")
	if outer.Class != observed.Environment || outer.Op != "pull" || outer.Hint != "is the registry up?" || !errors.Is(outer, cause) {
		t.Errorf("a problem inside keeps its class, operation and hint: %+v", outer)
	}
	bare := &observed.Problem{Class: observed.Conflict, Text: "it moved"}
	named := observed.Wrap("stop", "acme", observed.Transient, bare, "look again")
	if named.Error() != "stop acme: it moved" || named.Hint != "look again" || named.Class != observed.Conflict || bare.Op != "" {
		t.Errorf("%+v of %+v", named, bare)
	}
	if bare.Error() != "it moved" || (&observed.Problem{Op: "look", Text: "dark"}).Error() != "look: dark" {
		t.Error("what is not known is left out")
	}
	if observed.ClassOf(cause) != observed.Transient {
		t.Error("an error without a class may be tried again")
	}
}

func TestPartial(t *testing.T) {
	away := &observed.Problem{Op: "observe", Ref: "fast", Class: observed.Environment, Text: "no such pool", Hint: "zpool import"}
	err := error(&observed.Partial{Parts: map[string]*observed.Problem{"slow": {Text: "no answer"}, "fast": away}})
	if err.Error() != "observe fast: no such pool; no answer" {
		t.Errorf("%q", err)
	}
	var p *observed.Problem
	if !errors.As(err, &p) || p != away || observed.ClassOf(err) != observed.Environment {
		t.Errorf("who knows of no parts is told %+v", p)
	}
}

func TestSight(t *testing.T) {
	if !(observed.Sight{}).Blind() || !(observed.Sight{At: time.Unix(1, 0), Err: &observed.Problem{}}).Blind() || (observed.Sight{At: time.Unix(1, 0)}).Blind() {
		t.Error("blind is: never looked, or the last look failed")
	}
}

func TestInstance(t *testing.T) {
	seen := observed.Tenant{Instances: []observed.Instance{
		{Key: plans.Key{Slot: plans.Blue, Service: "app"}, ID: "1"}, {Key: plans.Key{Slot: plans.Green, Service: "app"}, ID: "2"},
	}}
	if i := seen.Instance(plans.Green, "app"); i == nil || i.ID != "2" {
		t.Errorf("%+v", i)
	}
	if seen.Instance(plans.Shared, "app") != nil {
		t.Error("an instance that is not there is found")
	}
}
