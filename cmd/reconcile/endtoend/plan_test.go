package endtoend

import (
	"fmt"
	"strings"
)

// fleet is the plan of a story: tenants of one template.
type fleet struct {
	image   string
	tenants []string
	active  string // auto, or a slot: then both slots are warm
	bake    string
	soak    string // how long, and what is kept: "1h, keep: stopped"
	within  string // that a service may take to become healthy
}

// template is the file that most commits change.
func (f fleet) template() string {
	var b strings.Builder
	b.WriteString(`apiVersion: reconcile/v1
kind: Fleet
metadata: {name: endtoend}
---
apiVersion: reconcile/v1
kind: Template
metadata: {name: app}
spec:
  strategy: blueGreen
  services:
    app:
      image: ` + f.image + `
      port: 8080
      env: {TENANT: "{{tenant}}", SLOT: "{{slot}}", DATA: /data}
      mounts: {/data: notes}
      health: {http: {path: /health}, interval: 50ms, successes: 2, within: ` + or(f.within, "20s") + `}
      stopTimeout: 5s
  routes:
    web: {service: app, hosts: ["{{tenant}}.example.com"]}
  volumes:
    notes: {access: many, onUpgrade: share}
  drain: 5s
  bake: ` + or(f.bake, "0s") + `
  soak: {for: ` + or(f.soak, "1h, keep: stopped") + `}
`)
	if f.active != "" && f.active != "auto" {
		fmt.Fprintf(&b, "  activeSlot: %s\n  slots: {blue: {}, green: {}}\n", f.active)
	}
	return b.String()
}

// files is the whole plan repository.
func (f fleet) files() map[string]string {
	files := map[string]string{"app.yaml": f.template()}
	for _, t := range f.tenants {
		files[t+".yaml"] = fmt.Sprintf("apiVersion: reconcile/v1\nkind: Tenant\nmetadata: {name: %s}\nspec: {template: app}\n", t)
	}
	return files
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
