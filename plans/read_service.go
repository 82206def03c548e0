package plans

import "strconv"

// serviceField fills one field of a service from its merged value; nil is "not given".
func (r reader) serviceField(s *Service, p *place, key string, v any) {
	p = p.at(key)
	switch key {
	case "image":
		s.Image = r.text(p, v)
	case "command":
		s.Command = r.texts(p, v)
	case "args":
		s.Args = r.texts(p, v)
	case "env":
		s.Env = table(r, p, v, r.text)
	case "envFrom":
		s.EnvFrom = nil
		for i, e := range r.items(p, v) {
			q := p.index(i)
			m := r.object(q, e)
			s.EnvFrom = append(s.EnvFrom, HostFile{
				File: r.text(q.at("file"), m["file"]), Version: r.text(q.at("version"), m["version"]),
			})
		}
	case "files":
		s.Files = table(r, p, v, r.file)
	case "ports":
		s.Ports = table(r, p, v, r.integer)
	case "publish":
		s.Publish = nil
		for i, e := range r.items(p, v) {
			s.Publish = append(s.Publish, r.publish(p.index(i), e))
		}
	case "user":
		s.User = r.text(p, v)
	case "workdir":
		s.Workdir = r.text(p, v)
	case "resources":
		m := r.object(p, v)
		s.Resources = Resources{
			Memory: r.text(p.at("memory"), m["memory"]),
			CPUs:   r.float(p.at("cpus"), m["cpus"]),
			Pids:   r.integer(p.at("pids"), m["pids"]),
		}
	case "capabilities":
		s.Capabilities = r.texts(p, v)
	case "privileged":
		s.Privileged = r.truth(p, v)
	case "network":
		s.Network = r.choice(p, v, "own", "host")
	case "mounts":
		s.Mounts = table(r, p, v, r.mount)
	case "tmpfs":
		s.Tmpfs = r.texts(p, v)
	case "restart":
		s.Restart = r.choice(p, v, "always", "onFailure", "never")
	case "stopSignal":
		s.StopSignal = r.text(p, v)
	case "stopTimeout":
		s.StopTimeout = r.duration(p, v, 0)
	case "labels":
		s.Labels = table(r, p, v, r.text)
	case "after":
		s.After = r.texts(p, v)
	case "scope":
		s.Scope = r.choice(p, v, "slot", "tenant")
	case "sidecar":
		s.Sidecar = r.truth(p, v)
	case "active":
		s.Active = r.choice(p, v, "always", "whenRouted")
	case "job":
		s.Job = r.job(p, v)
	case "health":
		s.Health = r.health(p, v)
	default:
		r.wrong(p, "a service has no field "+strconv.Quote(key), "")
	}
}

func (r reader) file(p *place, v any) File {
	m := r.object(p, v)
	f := File{
		From: r.text(p.at("from"), m["from"]),
		Text: r.text(p.at("text"), m["text"]),
		Mode: r.text(p.at("mode"), m["mode"]),
	}
	from, text := m["from"] != nil, m["text"] != nil
	switch {
	case from && text:
		r.wrong(p, "a file has both from and text", "keep one of them")
	case !from && !text:
		r.wrong(p, "a file has neither from nor text", "say where its content comes from")
	}
	switch len(f.Mode) {
	case 0:
		return f
	case 3:
		f.Mode = "0" + f.Mode
	}
	if _, err := strconv.ParseUint(f.Mode, 8, 12); err != nil || len(f.Mode) != 4 {
		r.wrong(p.at("mode"), strconv.Quote(f.Mode)+" is not an octal mode", `write it like "0440"`)
	}
	if f.Mode == "0444" {
		f.Mode = ""
	}
	return f
}

func (r reader) publish(p *place, v any) Publish {
	m := r.object(p, v)
	out := Publish{
		Host:      r.text(p.at("host"), m["host"]),
		Port:      r.integer(p.at("port"), m["port"]),
		Container: r.integer(p.at("container"), m["container"]),
		Protocol:  r.choice(p.at("protocol"), m["protocol"], "tcp", "udp"),
	}
	if out.Host == "127.0.0.1" {
		out.Host = ""
	}
	return out
}

func (r reader) mount(p *place, v any) Mount {
	m := r.object(p, v)
	return Mount{
		Volume:   r.text(p.at("volume"), m["volume"]),
		Path:     r.text(p.at("path"), m["path"]),
		ReadOnly: r.truth(p.at("readOnly"), m["readOnly"]),
	}
}

func (r reader) job(p *place, v any) *Job {
	if v == nil {
		return nil
	}
	m := r.object(p, v)
	job := &Job{At: r.choice(p.at("at"), m["at"], "", BeforeStart, BeforeSwitch, AfterSwitch)}
	job.Timeout = r.duration(p.at("timeout"), m["timeout"], 0)
	if m["at"] == nil {
		r.wrong(p, "a job does not say when it runs", "add at: beforeStart, beforeSwitch or afterSwitch")
	}
	return job
}

func (r reader) health(p *place, v any) *Health {
	if v == nil {
		return nil
	}
	m := r.object(p, v)
	h := &Health{
		Image:     r.truth(p.at("image"), m["image"]),
		Interval:  r.duration(p.at("interval"), m["interval"], 0),
		Timeout:   r.duration(p.at("timeout"), m["timeout"], 0),
		Successes: r.integer(p.at("successes"), m["successes"]),
		Failures:  r.integer(p.at("failures"), m["failures"]),
		Within:    r.duration(p.at("within"), m["within"], 0),
	}
	if v := m["http"]; v != nil {
		q := p.at("http")
		o := r.object(q, v)
		h.HTTP = &HTTPProbe{
			Port:   r.text(q.at("port"), o["port"]),
			Path:   r.text(q.at("path"), o["path"]),
			Status: r.integer(q.at("status"), o["status"]),
			Body:   r.text(q.at("body"), o["body"]),
			Header: table(r, q.at("header"), o["header"], r.text),
		}
		if h.HTTP.Path == "" {
			h.HTTP.Path = "/"
		}
	}
	if v := m["tcp"]; v != nil {
		h.TCP = &TCPProbe{Port: r.text(p.at("tcp").at("port"), r.object(p.at("tcp"), v)["port"])}
	}
	if v := m["exec"]; v != nil {
		q := p.at("exec")
		h.Exec = &ExecProbe{Command: r.texts(q.at("command"), r.object(q, v)["command"])}
	}
	return h
}
