package caddy

import (
	"encoding/json"
	"path/filepath"
	"time"
)

// Times the proxy is configured with, and why.
const (
	// upstreamIdle is how long a connection to a slot waits for its next
	// request. Common servers close idle ones after 2 s (gunicorn) or 5 s
	// (node, uvicorn); a request sent at that very moment is lost, so ours
	// close first. Dialling loopback again costs some 50 µs.
	upstreamIdle = time.Second
	// streamsOutlive is how long upgraded connections outlive a reload of
	// Caddy's configuration by a person; a switch never reloads.
	streamsOutlive = 24 * time.Hour
	// stopGrace is what open requests get when the proxy is told to stop.
	stopGrace = 10 * time.Second
)

// Names in the state directory.
const (
	socketName = "admin.sock"
	configName = "caddy.json"
	logName    = "caddy.log"
	outputName = "output.log"
	tableName  = "table"
	lockName   = "lock" // in the table's directory, as the proxy names it
	certsName  = "certificates"
	startName  = "start.lock"
)

type object = map[string]any

// settings returns the configuration of the proxy. It names no tenant and is
// the same before and after every switch.
func (p Proxy) settings() ([]byte, error) {
	servers, apps := object{}, object{"tenant_table": object{"dir": filepath.Join(p.Dir, tableName)}}
	if len(p.Listen) > 0 {
		servers["tenants"] = p.server(p.Listen, object{"disable": true})
	}
	if len(p.ListenTLS) > 0 {
		s := p.server(p.ListenTLS, object{"disable_redirects": true, "disable_certificates": true})
		s["tls_connection_policies"] = []any{object{}}
		servers["tenants_tls"] = s
		issuer := object{"module": "acme"}
		if p.InternalCA {
			issuer = object{"module": "internal"}
		}
		apps["tls"] = object{"automation": object{
			"policies":  []any{object{"on_demand": true, "issuers": []any{issuer}}},
			"on_demand": object{"permission": object{"module": "tenant_table"}},
		}}
		apps["pki"] = object{"certificate_authorities": object{"local": object{"install_trust": false}}}
	}
	apps["http"] = object{"grace_period": stopGrace.String(), "servers": servers}
	return json.MarshalIndent(object{
		"admin": object{
			"listen": "unix/" + p.socket() + "|0600",
			"config": object{"persist": false},
		},
		"logging": object{"logs": object{"default": object{
			"level":  "WARN",
			"writer": object{"output": "file", "filename": filepath.Join(p.Dir, logName), "roll_size_mb": 10, "roll_keep": 3},
		}}},
		"storage": object{"module": "file_system", "root": filepath.Join(p.Dir, certsName)},
		"apps":    apps,
	}, "", "  ")
}

// server is one HTTP server that leads everything through the table.
func (p Proxy) server(listen []string, automaticHTTPS object) object {
	s := object{
		"listen":          listen,
		"automatic_https": automaticHTTPS,
		"routes": []any{object{"handle": []any{
			object{"handler": "tenant_table"},
			object{
				"handler":            "reverse_proxy",
				"upstreams":          []any{object{"dial": "{http.vars.tenant_address}"}},
				"stream_close_delay": streamsOutlive.String(),
				"transport": object{
					"protocol":   "http",
					"keep_alive": object{"idle_timeout": upstreamIdle.String(), "max_idle_conns_per_host": 64},
				},
			},
		}}},
	}
	if automaticHTTPS["disable"] == true {
		s["protocols"] = []string{"h1", "h2", "h2c"}
	}
	return s
}
