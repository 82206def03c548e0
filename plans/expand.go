package plans

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Expansion happens in two steps. Resolve expands what holds for a tenant as
// long as its plan stands ({{tenant}}, {{node}}, {{label.X}}), so that it is
// part of the digests and of the stored spec. Tenant.Instance expands what only
// a slot has ({{slot}}, {{port}}, {{port.NAME}}), and turns {{{{ into {{.

// values is what the names stand for.
type values struct {
	tenant, node string
	labels       map[string]string
	anyLabel     bool           // every label is known, as for a template by itself
	ports        map[string]int // the names a service has; nil: no service
	// slot is NoSlot in the first step: slot, ports and {{{{ then stay.
	slot Slot
	port func(name string) int
}

// known lists the names that can be used, for messages.
func (v values) known() []string {
	names := []string{"tenant", "node"}
	for l := range Sorted(v.labels) {
		names = append(names, "label."+l)
	}
	if v.ports == nil {
		return names
	}
	names = append(names, "slot")
	if _, ok := onlyPort(v.ports); ok {
		names = append(names, "port")
	}
	for p := range Sorted(v.ports) {
		names = append(names, "port."+p)
	}
	return names
}

// lookup returns what name stands for, in the first step perhaps itself.
func (v values) lookup(name string) (string, bool) {
	switch {
	case name == "tenant":
		return v.tenant, true
	case name == "node":
		return v.node, true
	case strings.HasPrefix(name, "label."):
		text, ok := v.labels[strings.TrimPrefix(name, "label.")]
		if v.slot == NoSlot {
			text = strings.ReplaceAll(text, "{{", "{{{{") // not for the second step to expand
		}
		return text, ok || v.anyLabel
	case v.ports == nil:
		return "", false
	case name == "slot":
		if v.slot == NoSlot {
			return "{{slot}}", true
		}
		return string(v.slot), true
	}
	port, ok := "", false
	if name == "port" {
		port, ok = onlyPort(v.ports)
	} else if port, ok = strings.CutPrefix(name, "port."); ok {
		_, ok = v.ports[port]
	}
	switch {
	case !ok:
		return "", false
	case v.slot == NoSlot:
		return "{{" + name + "}}", true
	}
	return strconv.Itoa(v.port(port)), true
}

// onlyPort returns the port that a name left out stands for: the one named
// http, or the only one.
func onlyPort(ports map[string]int) (string, bool) {
	if _, ok := ports["http"]; ok {
		return "http", true
	}
	if len(ports) != 1 {
		return "", false
	}
	for name := range Sorted(ports) {
		return name, true
	}
	return "", false
}

// expand returns text with every {{name}} replaced.
func (v values) expand(text string) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{{")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		if after, literal := strings.CutPrefix(rest, "{{"); literal {
			out.WriteString("{{")
			if v.slot == NoSlot {
				out.WriteString("{{")
			}
			text = after
			continue
		}
		name, after, closed := strings.Cut(rest, "}}")
		if !closed {
			return "", fmt.Errorf("%q opens {{ and never closes it; write {{{{ for a literal {{", clip(rest))
		}
		name = strings.TrimSpace(name)
		value, ok := v.lookup(name)
		if !ok {
			return "", unknownName{name, v.known()}
		}
		out.WriteString(value)
		text = after
	}
}

// unknownName is an error of expand.
type unknownName struct {
	name  string
	known []string
}

func (e unknownName) Error() string {
	return fmt.Sprintf("{{%s}} is not known here; known are %s", e.name, strings.Join(e.known, ", "))
}

// clip shortens text for a message.
func clip(text string) string {
	if len(text) > 40 {
		return text[:40] + "…"
	}
	return text
}

// rewrite returns s with f applied to each text that is expanded and holds a
// "{{". What does not change is shared with s.
func (s Service) rewrite(f func(path, text string) string) Service {
	s.Command = rewriteList(s.Command, "/command", f)
	s.Args = rewriteList(s.Args, "/args", f)
	s.Env = rewriteMap(s.Env, "/env", f)
	s.Labels = rewriteMap(s.Labels, "/labels", f)
	for i, e := range s.EnvFrom {
		if strings.Contains(e.File, "{{") {
			s.EnvFrom = append([]HostFile(nil), s.EnvFrom...)
			s.EnvFrom[i].File = f("/envFrom/"+strconv.Itoa(i)+"/file", e.File)
		}
	}
	s.Files = rewriteFiles(s.Files, f)
	s.Health = s.Health.rewrite(f)
	return s
}

func rewriteFiles(files map[string]File, f func(path, text string) string) map[string]File {
	out, copied := files, false
	for path, file := range Sorted(files) {
		if file.From != "" || !strings.Contains(file.Text, "{{") {
			continue
		}
		if !copied {
			out, copied = maps.Clone(files), true
		}
		file.Text = f("/files/"+escape(path)+"/text", file.Text)
		file.Digest = contentDigest([]byte(file.Text))
		out[path] = file
	}
	return out
}

func (h *Health) rewrite(f func(path, text string) string) *Health {
	if h == nil || !h.expands() {
		return h
	}
	out := *h
	switch {
	case h.HTTP != nil:
		probe := *h.HTTP
		if strings.Contains(probe.Path, "{{") {
			probe.Path = f("/health/http/path", probe.Path)
		}
		probe.Header = rewriteMap(probe.Header, "/health/http/header", f)
		out.HTTP = &probe
	case h.Exec != nil:
		out.Exec = &ExecProbe{Command: rewriteList(h.Exec.Command, "/health/exec/command", f)}
	}
	return &out
}

// expands says that a text of the probe holds a "{{".
func (h *Health) expands() bool {
	if h.Exec != nil && slices.ContainsFunc(h.Exec.Command, braced) {
		return true
	}
	if h.HTTP == nil {
		return false
	}
	for _, text := range Sorted(h.HTTP.Header) {
		if braced(text) {
			return true
		}
	}
	return braced(h.HTTP.Path)
}

func braced(text string) bool { return strings.Contains(text, "{{") }

func rewriteList(list []string, path string, f func(path, text string) string) []string {
	copied := false
	for i, text := range list {
		if !strings.Contains(text, "{{") {
			continue
		}
		if !copied {
			list, copied = append([]string(nil), list...), true
		}
		list[i] = f(path+"/"+strconv.Itoa(i), text)
	}
	return list
}

func rewriteMap(m map[string]string, path string, f func(path, text string) string) map[string]string {
	out, copied := m, false
	for key, text := range Sorted(m) {
		if !strings.Contains(text, "{{") {
			continue
		}
		if !copied {
			out, copied = maps.Clone(m), true
		}
		out[key] = f(path+"/"+escape(key), text)
	}
	return out
}
