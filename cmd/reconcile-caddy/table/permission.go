package table

import (
	"context"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/gitops-fleet/reconcile/cmd/reconcile-caddy/table/routes"
)

// Permission allows a certificate on demand for each host a tenant has, so
// that tenants come and go without a change of configuration.
type Permission struct {
	table *routes.Table
}

// CaddyModule describes the module.
func (*Permission) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tls.permission.tenant_table", New: func() caddy.Module { return new(Permission) }}
}

// Provision finds the table.
func (p *Permission) Provision(ctx caddy.Context) (err error) {
	p.table, err = appTable(ctx)
	return err
}

// CertificateAllowed implements caddytls.OnDemandPermission.
func (p *Permission) CertificateAllowed(_ context.Context, name string) error {
	if p.table.Known(routes.Host(name)) {
		return nil
	}
	return fmt.Errorf("%s: %w", name, caddytls.ErrPermissionDenied)
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Permission)(nil)
	_ caddytls.OnDemandPermission = (*Permission)(nil)
)
