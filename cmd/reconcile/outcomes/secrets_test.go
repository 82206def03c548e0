package outcomes

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gitops-fleet/reconcile/drivers/drivertest/stage"
)

// A secret file that changes under the same version is told as drift and acted
// on by nobody; its new version upgrades. Its bytes are in no output and in no
// file of ours but the kept inputs, which are root's alone.
func secret(t *testing.T)       { secrets(t, process) }
func secretDocker(t *testing.T) { secrets(t, engine) }

func secrets(t *testing.T, runtime string) {
	w := newWorld(t, runtime, nil)
	file := filepath.Join(w.Dir, "ant.env")
	old, fresh := write(t, file), ""
	envFrom := func(version string) string {
		return "      envFrom: [{file: \"" + w.Dir + "/{{tenant}}.env\", version: \"" + version + "\"}]\n"
	}
	w.settle(fleet{service: envFrom("1")})
	w.knows("ant", old)
	before := w.started("ant")

	fresh = write(t, file)
	says := []string{"inputsChanged", file, "raise its version in the plan"}
	out := []stage.Result{
		w.verb(2, says, "drift"), w.pass(0, "No changes"), w.verb(0, nil, "status", "-o", "json"),
		w.verb(0, nil, "explain", "ant"), w.verb(0, nil, "explain", "ant", "-o", "json"),
		w.verb(0, nil, "--dry-run", "-o", "json"), w.verb(0, nil, "render", "ant"),
	}
	w.is(outcome{state: "converged", serves: "1.0"})
	w.same("ant", before)
	w.knows("ant", old)

	// A version that tells its secret to everybody who reads its output.
	w.fleet.service, w.fleet.env, w.fleet.within = envFrom("2"), []string{"FAIL: tell"}, "5s"
	w.template("a version that talks")
	out = append(out, w.pass(3, "the token is [redacted]"), w.verb(0, []string{"the token is [redacted]"}, "explain", "ant"), w.verb(0, nil, "explain", "ant", "-o", "json"))
	w.answers("ant", "1.0")
	w.knows("ant", old)

	w.fleet.env = nil
	w.template("the secret has a new version")
	out = append(out, w.pass(0), w.verb(0, nil, "events", "-o", "json"), w.verb(0, nil, "drift"))
	w.is(outcome{state: "converged", serves: "1.0"})
	w.knows("ant", fresh)

	for _, value := range []string{old, fresh} {
		for _, r := range out {
			if strings.Contains(r.Stdout+r.Stderr, value) {
				t.Errorf("a secret is printed:\n%s%s", r.Stdout, r.Stderr)
			}
		}
		w.nowhere(value)
	}
}

// write gives a secret file a new value.
func write(t *testing.T, file string) string {
	t.Helper()
	raw := make([]byte, 16)
	rand.Read(raw)
	value := hex.EncodeToString(raw)
	if err := os.WriteFile(file, []byte("TOKEN="+value+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return value
}

// knows wants what serves a tenant to have a secret.
func (w *world) knows(tenant, value string) {
	w.Helper()
	env, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(w.serving(tenant)), "environ"))
	if err != nil {
		w.Fatal(err)
	}
	if !bytes.Contains(env, []byte("TOKEN="+value+"\x00")) {
		w.Errorf("what serves %s has another secret", tenant)
	}
}

// nowhere wants a secret in no file of the state directory but the kept inputs,
// which only their owner reads, and what belongs to the instances alone.
func (w *world) nowhere(value string) {
	w.Helper()
	err := filepath.WalkDir(w.State, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(content, []byte(value)) {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(path, w.State+"/")
		ours := strings.HasPrefix(rel, "inputs/") || strings.HasPrefix(rel, "process/instances/")
		if !ours || info.Mode().Perm()&0o077 != 0 {
			w.Errorf("a secret is in %s, mode %s", rel, info.Mode())
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
}
