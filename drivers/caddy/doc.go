// Package caddy is the router driver "table": it leads requests to slots
// through the tenant table in reconcile-caddy, over Caddy's admin endpoint on
// a unix socket. It also starts that proxy, detached, and adopts one that
// runs. It links no Caddy package.
package caddy
