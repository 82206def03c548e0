// Package table is the Caddy side of the tenant table: an app that keeps the
// table, a handler that leads requests by it, an admin endpoint that changes
// it, and a permission for certificates on demand. Build it into any Caddy:
//
//	xcaddy build --with github.com/gitops-fleet/reconcile/cmd/reconcile-caddy/table
//
// A configuration that uses it:
//
//	{"apps": {
//	  "tenant_table": {"dir": "/var/lib/reconcile-caddy"},
//	  "http": {"servers": {"tenants": {"listen": [":80"], "routes": [{"handle": [
//	    {"handler": "tenant_table"},
//	    {"handler": "reverse_proxy", "upstreams": [{"dial": "{http.vars.tenant_address}"}]}
//	]}]}}}}}
//
// Caddy makes its modules anew with each configuration; the table, its holds
// and its counters stay, because they belong to the process.
package table
