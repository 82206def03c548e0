package durability

// plan is the plan repository of a story. Its limits leave room for an emulated
// processor, and for a reconciler that is started again at every boundary.
type plan struct {
	fleet, image string
	mode         string // "quiesce" or "replay"
	volume       string // more about the ledger, as ", onBack: discard"
	env          string // more for the writer, as ", FOLLOW: …"
	stop         string // that the writer may take to end; "" is 10s
	within       string // that a version may take to become healthy; "" is long
	soak         string // "" is none
	more         string // lines of the template's spec
}

func (p plan) files(volume string) map[string]string {
	return map[string]string{"plan.yaml": `apiVersion: reconcile/v1
kind: Fleet
metadata: {name: ` + p.fleet + `}
---
apiVersion: reconcile/v1
kind: Template
metadata: {name: app}
spec:
  strategy: blueGreen
  services:
    app:
      image: ` + p.image + `
      port: 8080
      env: {DATA: /data` + p.env + `}
      mounts: {/data: ledger}
      health: {http: {path: /health}, interval: 100ms, timeout: 10s, successes: 2, within: ` + or(p.within, "2m") + `}
      stopTimeout: ` + or(p.stop, "10s") + `
  routes:
    web: {service: app, hosts: ["{{tenant}}.example.com"]}
  volumes:
    ledger: {` + volume + `, onUpgrade: clone, writes: ` + p.mode + `, holdLimit: 10m` + p.volume + `}
  drain: 10s
  bake: 200ms
  soak: {for: ` + or(p.soak, "0s") + `}
` + p.more + `---
apiVersion: reconcile/v1
kind: Tenant
metadata: {name: ant}
spec: {template: app}
`}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
