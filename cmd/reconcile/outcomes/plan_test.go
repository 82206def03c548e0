package outcomes

import (
	"fmt"
	"strings"
)

// fleet is the plan of a row: tenants of one template.
type fleet struct {
	name    string
	image   string
	tenants []string
	spec    string   // fields of the template's spec beside the usual ones, indented by two
	service string   // fields of the service beside the usual ones, indented by six
	env     []string // NAME: value, beside the usual ones
	volume  string   // of the volume notes; "" is a shared one, "none" is no volume
	within  string   // that a service may take to become healthy
	budget  int      // prune budget
	extra   map[string]string
}

// files is the whole plan repository.
func (f fleet) files() map[string]string {
	files := map[string]string{"app.yaml": f.template()}
	for _, t := range f.tenants {
		files[t+".yaml"] = tenant(t, "")
	}
	for name, text := range f.extra {
		files[name] = text
	}
	return files
}

func (f fleet) template() string {
	var b strings.Builder
	b.WriteString("apiVersion: reconcile/v1\nkind: Fleet\nmetadata: {name: " + f.name + "}\n")
	if f.budget > 0 {
		fmt.Fprintf(&b, "spec: {pruneBudget: %d}\n", f.budget)
	}
	env := append([]string{`TENANT: "{{tenant}}"`, `SLOT: "{{slot}}"`, `NODE: "{{node}}"`}, f.env...)
	mount, volumes := "      mounts: {/data: notes}\n", "  volumes:\n    notes: {access: many, onUpgrade: share}\n"
	switch f.volume {
	case "":
	case "none":
		mount, volumes = "", ""
	default:
		volumes = "  volumes:\n    notes: " + f.volume + "\n"
	}
	if mount != "" {
		env = append(env, "DATA: /data")
	}
	b.WriteString(`---
apiVersion: reconcile/v1
kind: Template
metadata: {name: app}
spec:
  strategy: blueGreen
  services:
    app:
      image: ` + f.image + `
      port: 8080
      env: {` + strings.Join(env, ", ") + `}
      health: {http: {path: /health}, interval: 50ms, successes: 2, within: ` + or(f.within, "20s") + `}
      stopTimeout: 5s
` + mount + f.service + `  routes:
    web: {service: app, hosts: ["{{tenant}}.example.com"]}
  drain: 5s
  bake: 0s
  soak: {for: 1h, keep: stopped}
` + volumes + f.spec)
	return b.String()
}

// tenant is a tenant's file; more are fields of its spec, in flow style.
func tenant(name, more string) string {
	spec := "template: app"
	if more != "" {
		spec += ", " + more
	}
	return fmt.Sprintf("apiVersion: reconcile/v1\nkind: Tenant\nmetadata: {name: %s}\nspec: {%s}\n", name, spec)
}

// decision answers a question.
func decision(question, answer string) string {
	return fmt.Sprintf("apiVersion: reconcile/v1\nkind: Decision\nmetadata: {name: %s}\nspec: {question: %s, answer: %s, reason: looked at it}\n",
		strings.ReplaceAll(question, ".", "-"), question, answer)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
