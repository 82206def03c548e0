package endtoend

import (
	"fmt"
)

// fleet is the plan of a story: tenants of one template.
type fleet struct {
	name    string
	image   string
	tenants []string
	active  string // a slot: then both are warm; "" is auto
	bake    string
	soak    string // how long, and what is kept: "1h, keep: stopped"
	within  string // that a service may take to become healthy
}

// template is the file that most commits change.
func (f fleet) template() string {
	return `apiVersion: reconcile/v1
kind: Fleet
metadata: {name: ` + f.name + `}
# A story ends with all its tenants removed in one commit.
spec: {pruneBudget: 20}
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
`
}

// files is the whole plan repository.
func (f fleet) files() map[string]string {
	files := f.own()
	files["app.yaml"] = f.template()
	return files
}

// own are the tenants' own files. What they change is a change of each tenant:
// they do not wait for each other as they do in a change of the template.
func (f fleet) own() map[string]string {
	files := map[string]string{}
	for _, t := range f.tenants {
		more := ""
		if f.active != "" {
			more = ", activeSlot: " + f.active + ", slots: {blue: {}, green: {}}"
		}
		files[t+".yaml"] = fmt.Sprintf("apiVersion: reconcile/v1\nkind: Tenant\nmetadata: {name: %s}\nspec: {template: app%s}\n", t, more)
	}
	return files
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
