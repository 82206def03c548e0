package table

import (
	"errors"
	"path/filepath"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/gitops-fleet/reconcile/cmd/reconcile-caddy/table/routes"
)

func init() {
	caddy.RegisterModule(new(App))
	caddy.RegisterModule(new(Handler))
	caddy.RegisterModule(new(Admin))
	caddy.RegisterModule(new(Permission))
}

// pool keeps tables by directory for as long as any configuration uses them;
// current is the one the admin endpoint speaks for.
var (
	pool    = caddy.NewUsagePool()
	current atomic.Pointer[routes.Table]
)

// pooled closes the table with its last use.
type pooled struct{ *routes.Table }

func (p pooled) Destruct() error {
	current.CompareAndSwap(p.Table, nil)
	return p.Close()
}

// App keeps the tenant table of this host.
type App struct {
	// Dir is where the table is kept on disk. One proxy at a time can use it.
	Dir string `json:"dir,omitempty"`

	table *routes.Table
}

// CaddyModule describes the module.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tenant_table", New: func() caddy.Module { return new(App) }}
}

// Provision opens the table, or finds the one that is open.
func (a *App) Provision(ctx caddy.Context) error {
	if a.Dir == "" {
		return errors.New("tenant_table: dir is missing: say where the table is kept")
	}
	a.Dir = filepath.Clean(a.Dir)
	v, _, err := pool.LoadOrNew(a.Dir, func() (caddy.Destructor, error) {
		t, err := routes.Open(a.Dir)
		if err != nil {
			return nil, err
		}
		return pooled{t}, nil
	})
	if err != nil {
		return err
	}
	a.table = v.(pooled).Table
	if s := a.table.Status(); s.Damaged != "" || s.Problem != "" {
		ctx.Logger().Error("route table", zap.String("damaged", s.Damaged), zap.String("problem", s.Problem))
	}
	return nil
}

// Start lets the admin endpoint speak for this table.
func (a *App) Start() error {
	current.Store(a.table)
	return nil
}

// Stop does nothing: requests may still be under way.
func (*App) Stop() error { return nil }

// Cleanup gives the table back.
func (a *App) Cleanup() error {
	if a.table == nil {
		return nil
	}
	_, err := pool.Delete(a.Dir)
	return err
}

// appTable returns the table of the configuration that ctx belongs to.
func appTable(ctx caddy.Context) (*routes.Table, error) {
	app, err := ctx.App("tenant_table")
	if err != nil {
		return nil, err
	}
	return app.(*App).table, nil
}

// Interface guards.
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
