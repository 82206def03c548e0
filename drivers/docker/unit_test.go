package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/jsonstream"

	"github.com/gitops-fleet/reconcile/drivers"
	"github.com/gitops-fleet/reconcile/plans"
	"github.com/gitops-fleet/reconcile/plans/observed"
)

func TestName(t *testing.T) {
	long := strings.Repeat("x", 60)
	for _, c := range []struct {
		key  plans.Key
		want string
	}{
		{plans.Key{Tenant: "acme", Slot: "blue", Service: "app"}, "reconcile-f-acme-blue-app"},
		{plans.Key{Tenant: "acme-corp", Slot: "tenant", Service: "db-1"}, "reconcile-f-acme-corp-tenant-db-1"},
		{plans.Key{Tenant: "acme-blue", Slot: "green", Service: "app"}, "reconcile-f-acme-blue-green-app-95315f93"},
		{plans.Key{Tenant: "acme", Slot: "blue", Service: "green-app"}, "reconcile-f-acme-blue-green-app-6a950e56"},
	} {
		if got := Name("f", c.key); got != c.want {
			t.Errorf("name of %s is %s, want %s", c.key, got, c.want)
		}
	}
	a := Name("f", plans.Key{Tenant: long, Slot: "blue", Service: "app"})
	b := Name("f", plans.Key{Tenant: long, Slot: "green", Service: "app"})
	if len(a) > mostName || len(b) > mostName || a == b {
		t.Errorf("long names are %s (%d) and %s", a, len(a), b)
	}
	for name, want := range map[string]string{
		"reconcile-f-acme-blue-app": "acme", "reconcile-f-acme-corp-tenant-db": "acme-corp",
		"reconcile-g-acme-blue-app": "", "reconcile-f-acme": "", "other": "",
	} {
		if got := tenantOf("f", name); got != want {
			t.Errorf("tenant in %s is %q, want %q", name, got, want)
		}
	}
}

func TestReference(t *testing.T) {
	for image, want := range map[string]string{
		"reg:5000/a/b:1.2@sha256:00": "reg:5000/a/b@sha256:00",
		"reg:5000/a/b@sha256:00":     "reg:5000/a/b@sha256:00",
		"busybox:1@sha256:00":        "busybox@sha256:00",
	} {
		if got := reference(image); got != want {
			t.Errorf("reference of %s is %s, want %s", image, got, want)
		}
	}
}

func TestParseBytes(t *testing.T) {
	for s, want := range map[string]int64{
		"1": 1, "512K": 512 << 10, "64M": 64 << 20, "2G": 2 << 30, "2Gi": 2 << 30,
		"": 0, "M": 0, "0": 0, "-1": 0, "1.5G": 0, "9223372036854775807G": 0,
	} {
		if got, err := parseBytes(s); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q is %d, %v, want %d", s, got, err, want)
		}
	}
}

func TestEnvLines(t *testing.T) {
	env := map[string]string{}
	if err := envLines(env, "# no\n\nA=1\r\nB= x = y \n  C=\"q\"\nD="); err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"A": "1", "B": " x = y ", "C": `"q"`, "D": ""}; !maps.Equal(env, want) {
		t.Errorf("read %q, want %q", env, want)
	}
	for _, bad := range []string{"secret", "=secret", "a b=secret", "a=\x00secret"} {
		if err := envLines(env, "A=1\n"+bad); err == nil || !strings.Contains(err.Error(), "line 2") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestClassOfAnEnginesError(t *testing.T) {
	r := &Runtime{host: "unix:///x"}
	for text, want := range map[string]observed.Class{
		"write /d/x: no space left on device":                                               observed.Environment,
		"Get \"http://r/v2/\": dial tcp 10.0.0.1:5000: connect: connection refused":         observed.Environment,
		"pull access denied for x, repository does not exist or may require 'docker login'": observed.Refused,
		"manifest for x not found: manifest unknown":                                        observed.Refused,
		"no matching manifest for linux/amd64 in the manifest list entries":                 observed.Refused,
		"could not find an available, non-overlapping IPv4 address pool among the defaults": observed.Environment,
		"something nobody has seen":                                                         observed.Transient,
	} {
		err := r.problem("do", "x", errors.New(text))
		if got := observed.ClassOf(err); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
		if p := err.(*observed.Problem); p.Hint == "" && want != observed.Transient {
			t.Errorf("%q has no hint", text)
		}
	}
	for err, want := range map[error]observed.Class{
		&net.OpError{Op: "dial", Err: errors.New("x")}:        observed.Environment,
		fmt.Errorf("read: %w", io.ErrUnexpectedEOF):           observed.Environment,
		context.DeadlineExceeded:                              observed.Transient,
		cerrdefs.ErrInvalidArgument:                           observed.Refused,
		cerrdefs.ErrConflict:                                  observed.Conflict,
		&observed.Problem{Class: observed.Refused, Text: "x"}: observed.Refused,
	} {
		if got := observed.ClassOf(r.problem("do", "x", err)); got != want {
			t.Errorf("%v is %s, want %s", err, got, want)
		}
	}
	if r.problem("do", "x", nil) != nil {
		t.Error("no error became one")
	}
}

func TestStateSurvives(t *testing.T) {
	dir := t.TempDir()
	s, err := openState(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []error{s.mark(setPulled, "b", true), s.mark(setPulled, "a", true), s.mark(setPulled, "c", true), s.mark(setPulled, "c", false)} {
		if step != nil {
			t.Fatal(step)
		}
	}
	again, err := openState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(again.all(setPulled), " "); got != "a b" {
		t.Errorf("a new process reads %q", got)
	}
	if string(again.key) != string(s.key) {
		t.Error("a new process has another key")
	}
}

func TestTail(t *testing.T) {
	w := &tail{most: 5}
	for _, s := range []string{"abc", "dé", "fgh"} {
		w.Write([]byte(s))
	}
	if got := w.String(); got != "éfgh" && got != "fgh" {
		t.Errorf("kept %q", got)
	}
	w = &tail{most: 4}
	w.Write([]byte("xéfgh"))
	if got := w.String(); got != "fgh" {
		t.Errorf("kept %q, want what follows the broken character", got)
	}
}

func TestProgressCountsDownloadsOnce(t *testing.T) {
	var last drivers.Progress
	l := newLayers("x", func(p drivers.Progress) { last = p })
	for _, m := range []jsonstream.Message{
		{ID: "a", Status: "Downloading", Progress: &jsonstream.Progress{Current: 5, Total: 10}},
		{ID: "b", Status: "Downloading", Progress: &jsonstream.Progress{Current: 20, Total: 20}},
		{ID: "a", Status: "Download complete"},
		{ID: "a", Status: "Extracting", Progress: &jsonstream.Progress{Current: 1, Total: 10}},
	} {
		l.note(m)
	}
	if want := (drivers.Progress{What: "x", Done: 30, Total: 30}); last != want {
		t.Errorf("progress is %+v, want %+v", last, want)
	}
}

func TestSecondsRoundUp(t *testing.T) {
	for d, want := range map[time.Duration]int{0: 0, time.Millisecond: 1, time.Second: 1, 1500 * time.Millisecond: 2} {
		if got := seconds(d); got != want {
			t.Errorf("%s is %d s, want %d", d, got, want)
		}
	}
}
