package plans

import (
	"errors"
	"strings"
	"testing"
)

// tenantWith is a tenant without a template, whose spec is text.
func tenantWith(text string) string {
	return "kind: Tenant\nmetadata: {name: solo, labels: {tier: gold}}\nspec:\n" + indent(text)
}

func indent(text string) string {
	var out strings.Builder
	for line := range strings.Lines(strings.Trim(text, "\n") + "\n") {
		out.WriteString("  " + line)
	}
	return out.String()
}

const fleet = "kind: Fleet\nmetadata: {name: test}\nspec: {}\n"

// service is a tenant of one service with more fields.
func service(fields string) string {
	return tenantWith("services:\n  app:\n    image: app@A\n" + indent(indent(fields)))
}

func TestRules(t *testing.T) {
	for name, c := range map[string]struct {
		docs []string // after the fleet, one file each
		path string
		want string
		hint string
	}{
		"two of a name":           {[]string{service(""), service("")}, "/metadata/name", "two Tenants named solo; the other is at acme.yaml:1:1", "another name"},
		"two fleets":              {[]string{"kind: Fleet\nmetadata: {name: other}\n", service("")}, "/kind", "exactly one Fleet; the other is test at fleet.yaml:1:1", ""},
		"name":                    {[]string{strings.Replace(service(""), "solo", "So_lo", 1)}, "/metadata/name", "small letters", ""},
		"long name":               {[]string{strings.Replace(service(""), "solo", strings.Repeat("a", 64), 1)}, "/metadata/name", "64 characters", ""},
		"kind":                    {[]string{"kind: Tenat\nmetadata: {name: a}\n"}, "/kind", `no kind "Tenat"`, "Fleet, Template"},
		"no services":             {[]string{tenantWith("bake: 5s")}, "/spec/services", "has no services", "template"},
		"unknown template":        {[]string{"kind: Template\nmetadata: {name: platform}\nspec: {}\n", tenantWith("template: platfrom")}, "/spec/template", `no template "platfrom"`, "did you mean platform?"},
		"two batch sizes":         {[]string{"---\nkind: BatchPolicy\nmetadata: {name: slow}\nspec: {batchPct: 20, batchSize: 3}\n"}, "/spec/batchSize", "both say how large a batch is", "keep one"},
		"batch above all":         {[]string{"---\nkind: BatchPolicy\nmetadata: {name: slow}\nspec: {batchPct: 101}\n"}, "/spec/batchPct", "batchPct is 101", "from 1 to 100"},
		"window that never opens": {[]string{policyWith("windows: [{from: \"22:00\", to: \"22:00\"}]")}, "/spec/windows/0/to", "it never opens", "a whole day"},
		"window from the end":     {[]string{policyWith("windows: [{from: \"24:00\", to: \"02:00\"}]")}, "/spec/windows/0/to", "the end of a day", "two times"},
		"freeze that ends first":  {[]string{policyWith("freeze: [{from: \"2027-01-03\", to: \"2026-12-20\"}]")}, "/spec/freeze/0/from", "before it begins", "write dates"},
		"freeze on no day":        {[]string{policyWith("freeze: [{from: \"2026-02-30\"}]")}, "/spec/freeze/0/from", "is not a date", "write dates"},
		"zone of nothing":         {[]string{policyWith("timeZone: Europe/Berlin")}, "/spec/timeZone", "no windows and no freeze", "remove it"},
		"zone without rules":      {[]string{policyWith("timeZone: Europe/Berlin, freeze: [{from: \"2026-02-20\"}]")}, "/spec/timeZone", "rules of time zone", "Europe/Berlin"},
		"floor of nobody":         {[]string{policyWith("minHealthy: 0")}, "/spec/minHealthy", "less than 1", "90%"},
		"floor of everybody":      {[]string{policyWith("minHealthy: \"100%\"")}, "/spec/minHealthy", "no share", "99%"},
		"well at once":            {[]string{policyWith("healthWithin: 0s")}, "/spec/healthWithin", "healthWithin is 0s", "such as 5m"},
		"unknown policy":          {[]string{service("") + "  batchPolicy: x\n"}, "/spec/batchPolicy", `no BatchPolicy "x"`, "there is none"},
		"tag":                     {[]string{tenantWith("services: {app: {image: 'app:1.0'}}")}, "/spec/services/app/image", "names no digest", "reconcile pin"},
		"short digest":            {[]string{tenantWith("services: {app: {image: 'app@sha256:12'}}")}, "/spec/services/app/image", "not an image by digest", ""},
		"no image":                {[]string{tenantWith("services: {app: {port: 80}}")}, "/spec/services/app", "has no image", "reconcile pin"},
		"service name":            {[]string{tenantWith("services: {App: {image: 'a@A'}}")}, "/spec/services/App", "small letters", ""},
		"both ports":              {[]string{service("port: 80\nports: {http: 81}")}, "/spec/services/app/port", "the same port", ""},
		"port range":              {[]string{service("port: 70000")}, "/spec/services/app/ports/http", "70000 is not a port", ""},
		"port name":               {[]string{service("ports: {Web: 80}")}, "/spec/services/app/ports/Web", "small letters", ""},
		"variable":                {[]string{service("env: {'A B': x}")}, "/spec/services/app/env/A B", "name of a variable", ""},
		"variable value":          {[]string{service(`env: {A: "\0"}`)}, "/spec/services/app/env/A", "NUL", ""},
		"number as text":          {[]string{service("env: {A: 1}")}, "/spec/services/app/env/A", "expected text, found the number 1", ""},
		"unknown expansion":       {[]string{service(`env: {A: "{{tenat}}"}`)}, "/spec/services/app/env/A", "{{tenat}} is not known here; known are tenant, node, label.tier, slot", ""},
		"open expansion":          {[]string{service(`args: ["{{tenant"]`)}, "/spec/services/app/args/0", "never closes it", ""},
		"unknown port":            {[]string{service("ports: {a: 1, b: 2}\nargs: ['{{port}}']")}, "/spec/services/app/args/0", "known are tenant, node, label.tier, slot, port.a, port.b", ""},
		"missing label":           {[]string{service(`args: ["{{label.zone}}"]`)}, "/metadata/labels", "has no label zone, which /services/app/args/0 uses", "metadata.labels.zone"},
		"slot in a host":          {[]string{service("port: 80") + "  routes: {web: {service: app, hosts: ['{{slot}}.example.com']}}\n"}, "/spec/routes/web/hosts/0", "{{slot}} is not known here", ""},
		"expansion in user":       {[]string{service(`user: "{{tenant}}"`)}, "/spec/services/app/user", "nothing is expanded here", ""},
		"host file":               {[]string{service("envFrom: [{file: '/etc/../x', version: '1'}]")}, "/spec/services/app/envFrom/0/file", "not an absolute path", ""},
		"host file version":       {[]string{service("envFrom: [{file: /etc/x}]")}, "/spec/services/app/envFrom/0", "no version", ""},
		"label leaves":            {[]string{strings.Replace(service("envFrom: [{file: '/etc/{{label.tier}}', version: '1'}]"), "gold", "../x", 1)}, "/spec/services/app/envFrom/0/file", `"/etc/../x" is not`, ""},
		"file path":               {[]string{service("files: {etc/x: {text: a}}")}, "/spec/services/app/files/etc~1x", "not an absolute path", ""},
		"file leaves":             {[]string{service("files: {/etc/x: {from: ../secret}}")}, "/spec/services/app/files/~1etc~1x/from", "leaves the plan", ""},
		"file missing":            {[]string{service("files: {/etc/x: {from: missing}}")}, "/spec/services/app/files/~1etc~1x/from", "read missing: no such file", ""},
		"file too large":          {[]string{service("files: {/etc/x: {from: large}}")}, "/spec/services/app/files/~1etc~1x/from", "at most 1048576", ""},
		"file of both":            {[]string{service("files: {/etc/x: {from: a, text: b}}")}, "/spec/services/app/files/~1etc~1x", "both from and text", ""},
		"file of neither":         {[]string{service("files: {/etc/x: {mode: '0400'}}")}, "/spec/services/app/files/~1etc~1x", "neither from nor text", ""},
		"file mode":               {[]string{service("files: {/etc/x: {text: a, mode: rw}}")}, "/spec/services/app/files/~1etc~1x/mode", "octal", ""},
		"mount path":              {[]string{service("mounts: {/srv/: data}") + "  volumes: {data: {access: many}}\n"}, "/spec/services/app/mounts/~1srv~1", "not an absolute path", ""},
		"mount leaves":            {[]string{service("mounts: {/srv: {volume: data, path: ../x}}") + "  volumes: {data: {}}\n"}, "/spec/services/app/mounts/~1srv/path", "below the volume's root", ""},
		"mount of nothing":        {[]string{service("mounts: {/srv: {path: x}}")}, "/spec/services/app/mounts/~1srv", "names no volume", ""},
		"mount and tmpfs":         {[]string{service("mounts: {/srv: data}\ntmpfs: [/srv]") + "  volumes: {data: {}}\n"}, "/spec/services/app/mounts/~1srv", "a mount and a tmpfs", ""},
		"tmpfs":                   {[]string{service("tmpfs: [tmp]")}, "/spec/services/app/tmpfs/0", "not an absolute path", ""},
		"unknown volume":          {[]string{service("mounts: {/srv: date}") + "  volumes: {data: {}}\n"}, "/spec/services/app/mounts/~1srv", `no volume "date"`, "did you mean data?"},
		"publish range":           {[]string{service("publish: [{port: 0, container: 1}]")}, "/spec/services/app/publish/0/port", "0 is not a port", ""},
		"publish host":            {[]string{service("publish: [{port: 1, container: 1, host: here}]")}, "/spec/services/app/publish/0/host", "not an IP address", ""},
		"publish twice":           {[]string{service("network: host\npublish: [{port: 1, container: 1}]")}, "/spec/services/app/publish", "already", ""},
		"publish blue-green":      {[]string{service("publish: [{port: 1, container: 1}]") + "  overlap: true\n"}, "/spec/services/app/publish/0", "two slots would publish port 1", "strategy: recreate"},
		"two probes":              {[]string{service("port: 80\nhealth: {http: {path: /}, tcp: {}}")}, "/spec/services/app/health", "health has 2 probes", ""},
		"no probe":                {[]string{service("health: {interval: 1s}")}, "/spec/services/app/health", "health has 0 probes", ""},
		"probe port":              {[]string{service("port: 80\nhealth: {tcp: {port: htp}}")}, "/spec/services/app/health/tcp/port", "no port htp", "did you mean http?"},
		"probe without port":      {[]string{service("health: {http: {path: /}}")}, "/spec/services/app/health/http", "has none", "port: 8080"},
		"probe of many":           {[]string{service("ports: {a: 1, b: 2}\nhealth: {tcp: {}}")}, "/spec/services/app/health/tcp", "several ports", "a, b"},
		"probe path":              {[]string{service("port: 80\nhealth: {http: {path: x}}")}, "/spec/services/app/health/http/path", "does not begin with /", ""},
		"probe status":            {[]string{service("port: 80\nhealth: {http: {path: /, status: 99}}")}, "/spec/services/app/health/http/status", "not an HTTP status", ""},
		"probe command":           {[]string{service("health: {exec: {command: []}}")}, "/spec/services/app/health/exec", "no command", ""},
		"probe count":             {[]string{service("health: {image: true, failures: -1}")}, "/spec/services/app/health", "at least 1", ""},
		"job at":                  {[]string{service("job: {at: noon}")}, "/spec/services/app/job/at", "none of beforeStart, beforeSwitch or afterSwitch", ""},
		"job when":                {[]string{service("job: {timeout: 1s}")}, "/spec/services/app/job", "does not say when", ""},
		"job with health":         {[]string{service("job: {at: beforeStart}\nhealth: {image: true}")}, "/spec/services/app/health", "has no health", ""},
		"job restarts":            {[]string{service("job: {at: beforeStart}\nrestart: onFailure")}, "/spec/services/app/restart", "not restarted", ""},
		"job is sidecar":          {[]string{service("job: {at: beforeStart}\nsidecar: true")}, "/spec/services/app/sidecar", "no sidecar", ""},
		"job of tenant":           {[]string{service("job: {at: beforeStart}\nscope: tenant")}, "/spec/services/app/scope", "in a slot", ""},
		"job when routed":         {[]string{service("job: {at: beforeStart}\nactive: whenRouted")}, "/spec/services/app/active", "job.at", ""},
		"job publishes":           {[]string{service("job: {at: beforeStart}\npublish: [{port: 1, container: 1}]")}, "/spec/services/app/publish", "publishes no ports", ""},
		"sidecar of tenant":       {[]string{service("sidecar: true\nscope: tenant")}, "/spec/services/app/sidecar", "exists once", ""},
		"tenant when routed":      {[]string{service("active: whenRouted\nscope: tenant")}, "/spec/services/app/active", "always runs", ""},
		"workdir":                 {[]string{service("workdir: srv")}, "/spec/services/app/workdir", "absolute path", ""},
		"memory":                  {[]string{service("resources: {memory: lots}")}, "/spec/services/app/resources/memory", "512M", ""},
		"cpus":                    {[]string{service("resources: {cpus: -1}")}, "/spec/services/app/resources/cpus", "0.5", ""},
		"pids":                    {[]string{service("resources: {pids: -1}")}, "/spec/services/app/resources/pids", "processes", ""},
		"half a pid":              {[]string{service("resources: {pids: 1.5}")}, "/spec/services/app/resources/pids", "whole number", ""},
		"signal":                  {[]string{service("stopSignal: TERM")}, "/spec/services/app/stopSignal", "SIGTERM", ""},
		"network":                 {[]string{service("network: bridge")}, "/spec/services/app/network", "own or host", ""},
		"service field":           {[]string{service("imagge: x")}, "/spec/services/app/imagge", "no field", ""},
		"tenant field":            {[]string{service("") + "  servces: {}\n"}, "/spec/servces", "no field", ""},
		"duration":                {[]string{service("") + "  bake: soon\n"}, "/spec/bake", `"soon" is not a duration`, ""},
		"duration as number":      {[]string{service("") + "  bake: 5\n"}, "/spec/bake", "expected a duration", ""},
		"truth":                   {[]string{service("privileged: 'yes'")}, "/spec/services/app/privileged", "true or false", ""},
		"list":                    {[]string{service("args: x")}, "/spec/services/app/args", "expected a list, found the text", ""},
		"list of text":            {[]string{service("args: [true]")}, "/spec/services/app/args/0", "expected text, found true", ""},
		"map":                     {[]string{service("env: [a]")}, "/spec/services/app/env", "expected a map, found a list", ""},
		"number":                  {[]string{service("port: {}")}, "/spec/services/app/ports/http", "expected a number, found a map", ""},
		"after nobody":            {[]string{service("after: [db]")}, "/spec/services/app/after/0", `no service "db"`, ""},
		"after itself":            {[]string{service("after: [app]")}, "/spec/services/app/after/0", "waits for itself", ""},
		"after cycle":             {[]string{service("after: [b]") + "    b: {image: b@A, after: [c]}\n    c: {image: c@A, after: [app]}\n"}, "/spec/services/app/after", "app after b after c after app", ""},
		"after later job":         {[]string{service("after: [b]") + "    b: {image: b@A, job: {at: beforeSwitch}}\n"}, "/spec/services/app/after/0", "when all services are up", ""},
		"early job after":         {[]string{service("job: {at: beforeStart}\nafter: [b]") + "    b: {image: b@A}\n"}, "/spec/services/app/after/0", "not there yet", ""},
		"after when routed":       {[]string{service("after: [b]") + "    b: {image: b@A, active: whenRouted}\n"}, "/spec/services/app/after/0", "only after the switch", ""},
		"tenant after slot":       {[]string{service("scope: tenant\nafter: [b]") + "    b: {image: b@A}\n"}, "/spec/services/app/after/0", "outlives", ""},
		"route nowhere":           {[]string{service("port: 80") + "  routes: {web: {hosts: [a.example.com]}}\n"}, "/spec/routes/web", "leads to no service", "app"},
		"route unknown":           {[]string{service("port: 80") + "  routes: {web: {hosts: [a.example.com], service: ap}}\n"}, "/spec/routes/web/service", `no service "ap"`, "did you mean app?"},
		"route to job":            {[]string{service("port: 80\njob: {at: beforeStart}") + "  routes: {web: {hosts: [a.example.com], service: app}}\n"}, "/spec/routes/web/service", "takes no requests", ""},
		"route when routed":       {[]string{service("port: 80\nactive: whenRouted") + "  routes: {web: {hosts: [a.example.com], service: app}}\n"}, "/spec/routes/web/service", "only after the switch", ""},
		"route port":              {[]string{service("port: 80") + "  routes: {web: {hosts: [a.example.com], service: app, port: x}}\n"}, "/spec/routes/web/port", "no port x", ""},
		"route without port":      {[]string{service("") + "  routes: {web: {hosts: [a.example.com], service: app}}\n"}, "/spec/routes/web", "has no port", ""},
		"route of many":           {[]string{service("ports: {a: 1, b: 2}") + "  routes: {web: {hosts: [a.example.com], service: app}}\n"}, "/spec/routes/web", "several ports", "a, b"},
		"route without hosts":     {[]string{service("port: 80") + "  routes: {web: {service: app}}\n"}, "/spec/routes/web/hosts", "no hosts", ""},
		"route path":              {[]string{service("port: 80") + "  routes: {web: {hosts: [a.example.com], service: app, path: /a/../b}}\n"}, "/spec/routes/web/path", "not a path prefix", ""},
		"route name":              {[]string{service("port: 80") + "  routes: {Web: {hosts: [a.example.com], service: app}}\n"}, "/spec/routes/Web", "small letters", ""},
		"host with port":          {[]string{service("port: 80") + "  routes: {web: {hosts: ['a.example.com:80'], service: app}}\n"}, "/spec/routes/web/hosts/0", "without scheme, port", ""},
		"host wildcard":           {[]string{service("port: 80") + "  routes: {web: {hosts: ['*.example.com'], service: app}}\n"}, "/spec/routes/web/hosts/0", "wildcard", ""},
		"host empty":              {[]string{service("port: 80") + "  routes: {web: {hosts: [''], service: app}}\n"}, "/spec/routes/web/hosts/0", "is empty", ""},
		"host long":               {[]string{service("port: 80") + "  routes: {web: {hosts: ['" + strings.Repeat("a.", 127) + "a'], service: app}}\n"}, "/spec/routes/web/hosts/0", "255 characters", ""},
		"host not ASCII":          {[]string{service("port: 80") + "  routes: {web: {hosts: ['bücher.example.com'], service: app}}\n"}, "/spec/routes/web/hosts/0", "punycode", ""},
		"host twice":              {[]string{service("port: 80") + "  routes: {a: {hosts: [a.example.com], service: app}, b: {hosts: [A.example.com.], service: app}}\n"}, "/spec/routes/b/hosts", "tenant solo routes a.example.com/", ""},
		"host of another":         {[]string{service("port: 80") + "  routes: {a: {hosts: [a.example.com], service: app}}\n", strings.Replace(service("port: 80"), "solo", "duo", 1) + "  routes: {a: {hosts: [a.example.com], service: app}}\n"}, "/spec/routes/a/hosts", "tenant solo routes a.example.com/, and so does this one", ""},
		"hold of no time":         {[]string{service("") + "  volumes: {data: {onUpgrade: clone, writes: quiesce, holdLimit: 2s}}\n"}, "/spec/volumes/data/holdLimit", "holdLimit is 2s", "write 5s or longer; without it, 30s"},
		"no hold":                 {[]string{service("") + "  volumes: {data: {onUpgrade: clone, writes: quiesce, holdLimit: 0s}}\n"}, "/spec/volumes/data/holdLimit", "holdLimit is 0s", "write 5s or longer"},
		"volume name":             {[]string{service("") + "  volumes: {Data: {}}\n"}, "/spec/volumes/Data", "small letters", ""},
		"clone without writes":    {[]string{service("") + "  volumes: {data: {onUpgrade: clone}}\n"}, "/spec/volumes/data/onUpgrade", "must say what becomes of writes", "writes: quiesce"},
		"writes without clone":    {[]string{service("") + "  volumes: {data: {writes: replay}}\n"}, "/spec/volumes/data/writes", "only with onUpgrade: clone", ""},
		"freeze without command":  {[]string{service("mounts: {/data: data}") + "  volumes: {data: {onUpgrade: clone, writes: replay, freeze: {service: app}}}\n"}, "/spec/volumes/data/freeze", "has no command", "checkpoint"},
		"freeze of nobody":        {[]string{service("mounts: {/data: data}") + "  volumes: {data: {onUpgrade: clone, writes: replay, freeze: {service: db, command: [sync]}}}\n"}, "/spec/volumes/data/freeze/service", "no service \"db\"", "app"},
		"freeze beside the data":  {[]string{service("") + "  volumes: {data: {onUpgrade: clone, writes: replay, freeze: {service: app, command: [sync]}}}\n"}, "/spec/volumes/data/freeze/service", "does not mount", ""},
		"freeze of shared data":   {[]string{service("mounts: {/data: {volume: data, readOnly: true}}") + "  volumes: {data: {freeze: {service: app, command: [sync]}}}\n"}, "/spec/volumes/data/freeze", "no snapshot is taken", ""},
		"freeze by no such name":  {[]string{service("port: 80\nmounts: {/data: data}") + "  volumes: {data: {onUpgrade: clone, writes: replay, freeze: {service: app, command: [ask, '{{port}}', '{{slot}}', '{{prot}}']}}}\n"}, "/spec/volumes/data/freeze/command/3", "{{prot}} is not known", ""},
		"thaw by no such port":    {[]string{service("mounts: {/data: data}") + "  volumes: {data: {onUpgrade: clone, writes: replay, freeze: {service: app, command: [sync], thaw: [ask, '{{port.sql}}']}}}\n"}, "/spec/volumes/data/freeze/thaw/1", "{{port.sql}} is not known", ""},
		"freeze of its own name":  {[]string{service("mounts: {/data: data}") + "    freeze-data: {image: 'a@A', sidecar: true}\n  volumes: {data: {onUpgrade: clone, writes: replay, freeze: {service: app, command: [sync]}}}\n"}, "/spec/volumes/data/freeze", "one-shot instance, freeze-data", "rename"},
		"volatile and imported":   {[]string{service("") + "  volumes: {data: {volatile: true, import: true}}\n"}, "/spec/volumes/data/volatile", "taken over", ""},
		"snapshot of volatile":    {[]string{service("") + "  volumes: {data: {volatile: true, onUpgrade: snapshot}}\n"}, "/spec/volumes/data/volatile", "leads nowhere", ""},
		"quota of a block device": {[]string{service("") + "  volumes: {data: {size: 10G, quota: 5G}}\n"}, "/spec/volumes/data/quota", "block device", ""},
		"filesystem of nothing":   {[]string{service("") + "  volumes: {data: {filesystem: ext4}}\n"}, "/spec/volumes/data/filesystem", "needs a size", ""},
		"quota that is no size":   {[]string{service("") + "  volumes: {data: {quota: 10 GB}}\n"}, "/spec/volumes/data/quota", "not a size", ""},
		"back without quiesce":    {[]string{service("") + "  volumes: {data: {onUpgrade: clone, writes: replay, onBack: carry}}\n"}, "/spec/volumes/data/onBack", "only with writes: quiesce", ""},
		"rehearse without":        {[]string{service("") + "  volumes: {data: {rehearse: true}}\n"}, "/spec/volumes/data/rehearse", "on a clone", ""},
		"volume owner":            {[]string{service("") + "  volumes: {data: {owner: root}}\n"}, "/spec/volumes/data/owner", "not an owner", ""},
		"volume mode":             {[]string{service("") + "  volumes: {data: {mode: rwx}}\n"}, "/spec/volumes/data/mode", "octal", ""},
		"volume source":           {[]string{service("") + "  volumes: {data: {source: tank/../other}}\n"}, "/spec/volumes/data/source", "leave its root", ""},
		"volume import":           {[]string{service("") + "  volumes: {a: {source: t/x, import: true}, b: {source: t/x, import: true}}\n"}, "/spec/volumes/b/source", "imports t/x", ""},
		"import of nothing":       {[]string{service("") + "  volumes: {a: {import: true}}\n"}, "/spec/volumes/a/import", "no source names it", "add source"},
		"import of everything":    {[]string{service("") + "  volumes: {a: {source: ./, import: true}}\n"}, "/spec/volumes/a/import", "no source names it", "add source"},
		"import in other words":   {[]string{service("") + "  volumes: {a: {source: t/x, import: true}, b: {driver: dir, source: ./t//x/, import: true}}\n"}, "/spec/volumes/b/source", "imports t/x", ""},
		"import in an import":     {[]string{service("") + "  volumes: {a: {source: t, import: true}, b: {source: t/x, import: true}}\n"}, "/spec/volumes/b/source", "imports t, which has in it t/x", ""},
		"import around an import": {[]string{service("") + "  volumes: {a: {source: t/x/y, import: true}, b: {source: t, import: true}}\n"}, "/spec/volumes/b/source", "imports what is in t", ""},
		"volume in an import":     {[]string{service("") + "  volumes: {a: {source: t, import: true}, b: {source: t/x}}\n"}, "/spec/volumes/b/source", "imports t, which has in it t/x", ""},
		"import of tenants":       {[]string{service("") + "  volumes: {a: {source: tenants/solo}}\n", strings.Replace(service(""), "solo", "zoe", 1) + "  volumes: {b: {source: tenants/, import: true}}\n"}, "/spec/volumes/b/source", "tenant solo has a volume in tenants", "beside it"},
		"shared and written":      {[]string{service("port: 80\nmounts: {/srv: data}") + "  overlap: true\n  volumes: {data: {}}\n"}, "/spec/volumes/data", "would write volume data at the same time", "access: many"},
		"tenant on clone":         {[]string{service("scope: tenant\nmounts: {/srv: data}") + "  volumes: {data: {onUpgrade: fresh}}\n"}, "/spec/services/app/mounts/~1srv", "outlives the switch", ""},
		"hold without reason":     {[]string{service("") + "  hold: {reason: ' '}\n"}, "/spec/hold", "no reason", ""},
		"hold until":              {[]string{service("") + "  hold: {reason: a, until: tomorrow}\n"}, "/spec/hold/until", "not a time", ""},
		"removed and more":        {[]string{service("") + "  removed: true\n"}, "/spec/services", "services means nothing", "delete services"},
		"removed and formerly":    {[]string{"kind: Tenant\nmetadata: {name: solo, formerly: duo}\nspec: {removed: true}\n"}, "/metadata/formerly", "removed tenant", ""},
		"formerly itself":         {[]string{strings.Replace(service(""), "name: solo", "name: solo, formerly: solo", 1)}, "/metadata/formerly", "the tenant's own name", ""},
		"formerly another":        {[]string{strings.Replace(service(""), "name: solo", "name: solo, formerly: duo", 1), strings.Replace(service(""), "solo", "duo", 1)}, "/metadata/formerly", "tenant duo, which is still in the plan at third.yaml", ""},
		"formerly twice":          {[]string{strings.Replace(service(""), "name: solo", "name: solo, formerly: old", 1), strings.Replace(service(""), "name: solo", "name: duo, formerly: old", 1)}, "/metadata/formerly", "tenant solo was formerly old too", ""},
		"slot unnamed":            {[]string{service("") + "  slots: {green: {services: {app: {image: b@B}}}}\n"}, "/spec/slots/green/services", "only where activeSlot names", "activeSlot: blue"},
		"slot unknown":            {[]string{service("") + "  slots: {red: {}}\n"}, "/spec/slots/red", "no slot red", ""},
		"slot under recreate":     {[]string{service("") + "  activeSlot: blue\n  slots: {green: {}}\n"}, "/spec/slots/green", "cannot run beside", ""},
		"slot of sidecar":         {[]string{service("sidecar: true") + "  overlap: true\n  activeSlot: blue\n  slots: {green: {services: {app: {image: b@B}}}}\n"}, "/spec/slots/green/services/app", "same for both slots", ""},
		"slot image":              {[]string{service("") + "  overlap: true\n  activeSlot: blue\n  slots: {green: {services: {app: {image: 'b:1'}}}}\n"}, "/spec/slots/green/services/app/image", "names no digest", ""},
		"fixed service":           {[]string{service("") + "  slots: {blue: {ports: {ap/http: 1}}}\n"}, "/spec/slots/blue/ports/ap~1http", `no service "ap"`, ""},
		"fixed port":              {[]string{service("port: 80") + "  slots: {blue: {ports: {app/htp: 1}}}\n"}, "/spec/slots/blue/ports/app~1htp", `no port "htp"`, ""},
		"fixed of tenant":         {[]string{service("port: 80\nscope: tenant") + "  slots: {blue: {ports: {app/http: 1}}}\n"}, "/spec/slots/blue/ports/app~1http", "in no slot", ""},
		"fixed for both":          {[]string{service("port: 80") + "  slots: {blue: {ports: {app/http: 7001}}, green: {ports: {app/http: 7001}}}\n"}, "/spec/slots/green/ports/app~1http", "in slot blue too", ""},
		"fixed port of another":   {[]string{service("port: 80") + "  slots: {blue: {ports: {app/http: 7001}}}\n", strings.Replace(service("publish: [{port: 7001, container: 1, host: 0.0.0.0}]"), "solo", "duo", 1)}, "/spec/services/app/publish/0", "port 7001 of the host is taken by tenant solo", ""},
		"decision":                {[]string{service(""), "kind: Decision\nmetadata: {name: a}\nspec: {question: q}\n"}, "/spec", "question and its answer", ""},
	} {
		t.Run(name, func(t *testing.T) {
			plan, problems := Resolve(documents(t, append([]string{fleet}, c.docs...)...), Options{File: commitFiles})
			if plan != nil {
				t.Fatal("there is a plan beside the problems")
			}
			for _, p := range problems {
				if p.Path == c.path && strings.Contains(p.Text, c.want) && strings.Contains(p.Hint, c.hint) {
					if p.Pos.File == "" || p.Pos.File == "fleet.yaml" || p.Pos.Line == 0 {
						t.Errorf("placed at %v", p.Pos)
					}
					if len(problems) > 2 {
						t.Errorf("one mistake makes %d problems: %v", len(problems), problems)
					}
					return
				}
			}
			t.Errorf("no problem at %s saying %q; there are:", c.path, c.want)
			for _, p := range problems {
				t.Errorf("  %s (hint: %s)", p.Error(), p.Hint)
			}
		})
	}
}

func commitFiles(path string) ([]byte, error) {
	switch path {
	case "large":
		return make([]byte, MaxFile+1), nil
	case "files/app.toml":
		return []byte("level = \"{{not expanded}}\"\n"), nil
	case "empty":
		return nil, nil
	}
	return nil, errors.New("no such file")
}

func TestAnEmptyPlanIsRefused(t *testing.T) {
	plan, problems := Resolve(nil, Options{})
	if plan != nil || len(problems) != 1 || !strings.Contains(problems[0].Text, "no Fleet") {
		t.Errorf("plan %v, problems %v", plan, problems)
	}
}

// policyWith is a policy with these fields.
func policyWith(fields string) string {
	return "---\nkind: BatchPolicy\nmetadata: {name: slow}\nspec: {" + fields + "}\n"
}
