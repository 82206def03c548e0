// Command reconcile-caddy is stock Caddy, with all its standard modules, plus
// the tenant table: the data plane that reconcile's router "table" drives. It
// is a process of its own, so that requests are served whether or not the
// reconciler runs.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/gitops-fleet/reconcile/cmd/reconcile-caddy/table"
)

func main() { caddycmd.Main() }
