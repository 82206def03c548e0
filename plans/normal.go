package plans

// service writes the normal form of a service. Every field of Service is here
// but Health and Job.Timeout (see Digest). A new field is written only where it
// is not at its default, or every digest would change.
func (f *form) service(s Service) {
	f.text("active", s.Active, "always")
	f.set("after", s.After)
	f.list("args", s.Args)
	f.set("capabilities", s.Capabilities)
	f.list("command", s.Command)
	f.texts("env", s.Env)
	if len(s.EnvFrom) > 0 {
		f.key("envFrom")
		f.nest('[', ']', func() {
			for _, e := range s.EnvFrom {
				f.item()
				f.nest('{', '}', func() {
					f.text("file", e.File, "")
					f.text("version", e.Version, "")
				})
			}
		})
	}
	f.object("files", false, func() {
		for path, file := range Sorted(s.Files) {
			f.object(path, true, func() { f.file(file) })
		}
	})
	f.text("image", imageOf(s.Image), "")
	if s.Job != nil {
		f.object("job", true, func() { f.text("at", s.Job.At, "") })
	}
	f.texts("labels", s.Labels)
	f.object("mounts", false, func() {
		for path, m := range Sorted(s.Mounts) {
			f.object(path, true, func() {
				f.text("path", m.Path, "")
				f.truth("readOnly", m.ReadOnly)
				f.text("volume", m.Volume, "")
			})
		}
	})
	f.text("network", s.Network, "own")
	f.numbers("ports", s.Ports)
	f.truth("privileged", s.Privileged)
	if len(s.Publish) > 0 {
		f.key("publish")
		f.nest('[', ']', func() {
			for _, p := range s.Publish {
				f.item()
				f.nest('{', '}', func() {
					f.number("container", p.Container, 0)
					f.text("host", p.Host, "127.0.0.1")
					f.number("port", p.Port, 0)
					f.text("protocol", p.Protocol, "tcp")
				})
			}
		})
	}
	f.object("resources", false, func() {
		f.float("cpus", s.Resources.CPUs)
		f.text("memory", s.Resources.Memory, "")
		f.number("pids", s.Resources.Pids, 0)
	})
	f.text("restart", s.Restart, "always")
	f.text("scope", s.Scope, "slot")
	f.truth("sidecar", s.Sidecar)
	f.text("stopSignal", s.StopSignal, "")
	f.duration("stopTimeout", s.StopTimeout, DefaultStopLimit)
	f.set("tmpfs", s.Tmpfs)
	f.text("user", s.User, "")
	f.text("workdir", s.Workdir, "")
}

// file writes the content's digest: under "content" for a file taken as it is,
// under "text" for one that is expanded.
func (f *form) file(file File) {
	digest := file.Digest
	if digest == "" {
		digest = contentDigest(file.Bytes())
	}
	if file.From != "" {
		f.text("content", digest, "")
	}
	f.text("mode", file.Mode, "0444")
	if file.From == "" {
		f.text("text", digest, "")
	}
}

func (f *form) services(k string, services map[string]Service) {
	f.object(k, true, func() {
		for name, s := range Sorted(services) {
			f.object(name, true, func() { f.service(s) })
		}
	})
}

// judged writes how each service is judged.
func (f *form) judged(k string, services map[string]Service) {
	f.object(k, false, func() {
		for name, s := range Sorted(services) {
			f.object(name, false, func() {
				if s.Health != nil {
					f.object("health", true, func() { f.health(*s.Health) })
				}
				if s.Job != nil {
					f.duration("jobTimeout", s.Job.Timeout, DefaultJobLimit)
				}
			})
		}
	})
}

func (f *form) health(h Health) {
	if h.Exec != nil {
		f.list("exec", h.Exec.Command)
	}
	f.number("failures", h.Failures, 0)
	if h.HTTP != nil {
		f.object("http", true, func() {
			f.text("body", h.HTTP.Body, "")
			f.texts("header", h.HTTP.Header)
			f.text("path", h.HTTP.Path, "")
			f.text("port", h.HTTP.Port, "")
			f.number("status", h.HTTP.Status, 0)
		})
	}
	f.truth("image", h.Image)
	f.duration("interval", h.Interval, DefaultInterval)
	f.number("successes", h.Successes, 0)
	if h.TCP != nil {
		f.object("tcp", true, func() { f.text("port", h.TCP.Port, "") })
	}
	f.duration("timeout", h.Timeout, DefaultTimeout)
	f.duration("within", h.Within, DefaultWithin)
}
