package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/gitops-fleet/reconcile/plans/observed"
	"github.com/gitops-fleet/reconcile/schema"
)

// defaultConfig is read where neither --config nor RECONCILE_CONFIG names a file.
const defaultConfig = "/etc/reconcile/config.yaml"

// settings are a host's configuration with what the command line and the
// environment say on top: flags over RECONCILE_* over the file.
type settings struct {
	schema.HostConfig
	Plans  string // --plans: a working tree instead of the repository
	Output string // "", text, or json

	// What the configuration names, before defaults are filled in.
	dockerSet, processSet, nodeSet bool
	// scratch is the temporary folder of a verb that only looks; see scratched.
	scratch string
}

// setting is one flag with its variable and its place in the configuration.
type setting struct {
	flag, env, help string
	put             func(s *settings, v string) error
}

func text(field func(s *settings) *string) func(*settings, string) error {
	return func(s *settings, v string) error { *field(s) = v; return nil }
}

// known are all settings that can be given outside the file, in the order of
// their help.
var known = []setting{
	// First, because it also says how a mistake in the others is told.
	{"output", "RECONCILE_OUTPUT", "text or json", func(s *settings, v string) error {
		if v != "text" && v != "json" {
			return fmt.Errorf("%q is neither text nor json", v)
		}
		s.Output = v
		return nil
	}},
	{"repo", "RECONCILE_REPO", "plan repository: a path, https://… or ssh://…", text(func(s *settings) *string { return &s.Repo.URL })},
	{"branch", "RECONCILE_BRANCH", "branch to follow (default main)", text(func(s *settings) *string { return &s.Repo.Branch })},
	{"path", "RECONCILE_PATH", "folder of the plans inside the repository", text(func(s *settings) *string { return &s.Repo.Path })},
	{"plans", "RECONCILE_PLANS", "take the plans of a working tree as they are, instead of a repository", text(func(s *settings) *string { return &s.Plans })},
	{"state", "RECONCILE_STATE", "directory of the journal, the clone and the control socket (default /var/lib/reconcile)", text(func(s *settings) *string { return &s.State })},
	{"fleet", "RECONCILE_FLEET", "name of the fleet (default: that of the plans)", text(func(s *settings) *string { return &s.Fleet })},
	{"node", "RECONCILE_NODE", "name of this host in the plans (default: its host name)", text(func(s *settings) *string { return &s.Node })},
	{"runtime", "RECONCILE_RUNTIME", "runtime of tenants that name none: docker or process", text(func(s *settings) *string { return &s.Runtime })},
	{"ports", "RECONCILE_PORTS", "host ports that may be given out (default 20000-29999)", text(func(s *settings) *string { return &s.Ports })},
	{"listen", "RECONCILE_LISTEN", "address for /healthz, /metrics and /api/status of `run`", text(func(s *settings) *string { return &s.Listen })},
	{"parallel", "RECONCILE_PARALLEL", "most tenants acted on at a time (default 4)", func(s *settings, v string) (err error) {
		s.Parallel, err = strconv.Atoi(v)
		if err != nil || s.Parallel < 1 {
			return fmt.Errorf("%q is not a number of at least 1", v)
		}
		return nil
	}},
}

// addFlags puts the settings on a flag set.
func addFlags(fs *pflag.FlagSet) {
	fs.String("config", "", "configuration of this host (default "+defaultConfig+", where it exists)")
	for _, k := range known {
		short := ""
		if k.flag == "output" {
			short = "o"
		}
		fs.StringP(k.flag, short, "", k.help)
	}
}

// ownFlag marks a flag by which a verb means something else than the setting of
// the same name.
const ownFlag = "reconcile-own"

func own(f *pflag.Flag) bool {
	_, ok := f.Annotations[ownFlag]
	return ok
}

// load merges file, environment and flags, and fills in defaults.
func load(flags *pflag.FlagSet, env func(string) string) (settings, error) {
	var s settings
	file, err := flags.GetString("config")
	if err != nil {
		return s, err
	}
	asked := true
	if file == "" {
		file = env("RECONCILE_CONFIG")
	}
	if file == "" {
		file, asked = defaultConfig, false
	}
	b, err := os.ReadFile(file)
	switch {
	case err == nil:
		config, problems := schema.Config(file, b)
		if len(problems) > 0 {
			return s, refusedPlan{what: "configuration " + file, problems: problems}
		}
		s.HostConfig = config
	case asked || !errors.Is(err, fs.ErrNotExist):
		return s, observed.Wrap("read configuration", file, observed.Refused, errors.Unwrap(err), "`reconcile schema Config` says what may be in it")
	}
	for _, k := range known {
		v := env(k.env)
		from := k.env
		if f := flags.Lookup(k.flag); f != nil && f.Changed && !own(f) {
			v, from = f.Value.String(), "--"+k.flag
		}
		if v == "" {
			continue
		}
		if err := k.put(&s, v); err != nil {
			return s, usage{error: fmt.Errorf("%s: %w", from, err)}
		}
	}
	switch {
	case flags.Changed("plans") && flags.Changed("repo"):
		return s, usage{error: errors.New("--plans and --repo exclude each other")}
	case flags.Changed("repo"):
		s.Plans = "" // a flag wins over RECONCILE_PLANS
	}
	return s, s.fill()
}

// fill sets what neither file, environment nor flags set.
func (s *settings) fill() error {
	s.dockerSet = s.Drivers.Docker != schema.DockerConfig{}
	s.processSet = s.Drivers.Process != schema.ProcessConfig{}
	s.nodeSet = s.Node != ""
	s.HostConfig = s.HostConfig.Defaults()
	var err error
	if _, _, err := s.PortRange(); err != nil {
		return usage{error: err}
	}
	if s.State, err = filepath.Abs(s.State); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	if s.Node == "" {
		if s.Node, err = os.Hostname(); err != nil {
			return fmt.Errorf("name of this host: %w; set --node", err)
		}
	}
	return nil
}
