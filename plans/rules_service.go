package plans

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// checkService holds one service to the rules that need nothing but itself.
func (s *subject) checkService(p *place, name string, service Service) {
	if why := badName(name); why != "" {
		s.wrong(p, "service name "+strconv.Quote(name)+" "+why, "")
	}
	for _, rule := range serviceRules {
		rule(s, p, service)
	}
}

var serviceRules = []func(*subject, *place, Service){
	imageByDigest, environment, hostFiles, filesInPlace, mountsInPlace, portsInRange,
	published, oneProbe, jobAlone, whereItLives, engineWords, nothingUnexpanded,
}

func imageByDigest(s *subject, p *place, service Service) {
	p = p.at("image")
	switch ref := service.Image; {
	case ref == "" || strings.Contains(ref, "{{") || image.MatchString(ref):
		// A missing one is looked for when all layers are there.
	case !strings.Contains(ref, "@"):
		s.wrong(p, strconv.Quote(ref)+" names no digest, and a tag can mean something else tomorrow",
			"run `reconcile pin` to write the digest the tag stands for")
	default:
		s.wrong(p, strconv.Quote(ref)+" is not an image by digest",
			"write repository[:tag]@sha256: and 64 hexadecimal digits in small letters")
	}
}

func environment(s *subject, p *place, service Service) {
	for name, value := range Sorted(service.Env) {
		if !variable.MatchString(name) {
			s.wrong(p.at("env").at(name), strconv.Quote(name)+" is not the name of a variable", "a name has no spaces and no =")
		}
		if strings.ContainsRune(value, 0) {
			s.wrong(p.at("env").at(name), "the value holds a NUL byte, which no environment can", "")
		}
	}
}

func hostFiles(s *subject, p *place, service Service) {
	for i, f := range service.EnvFrom {
		q := p.at("envFrom").index(i)
		if !absolute(f.File) {
			s.wrong(q.at("file"), strconv.Quote(f.File)+" is not an absolute path in its shortest spelling", "write it like /etc/reconcile/secrets/app.env")
		}
		if f.Version == "" {
			s.wrong(q, "a file of the host has no version", `add version: "1" and change it whenever the content changes`)
		}
	}
}

func filesInPlace(s *subject, p *place, service Service) {
	for path, f := range Sorted(service.Files) {
		q := p.at("files").at(path)
		insideInstance(s, q, path)
		if len(f.Text) > MaxFile {
			s.wrong(q.at("text"), fmt.Sprintf("the text has %d bytes; a file in a plan has at most %d", len(f.Text), MaxFile), "")
		}
	}
}

func insideInstance(s *subject, p *place, path string) {
	if !absolute(path) {
		s.wrong(p, strconv.Quote(path)+" is not an absolute path in its shortest spelling", "write it like /srv/data")
	}
}

func mountsInPlace(s *subject, p *place, service Service) {
	for path, m := range Sorted(service.Mounts) {
		q := p.at("mounts").at(path)
		insideInstance(s, q, path)
		if m.Volume == "" {
			s.wrong(q, "a mount names no volume", "write "+path+": VOLUME")
		}
		if m.Path != "" && !insideRoot(m.Path) {
			s.wrong(q.at("path"), strconv.Quote(m.Path)+" is not a path below the volume's root", "write it without / at either end and without ..")
		}
		if slices.Contains(service.Tmpfs, path) {
			s.wrong(q, path+" is a mount and a tmpfs", "keep one of them")
		}
	}
	for i, path := range service.Tmpfs {
		insideInstance(s, p.at("tmpfs").index(i), path)
	}
}

func portsInRange(s *subject, p *place, service Service) {
	for name, port := range Sorted(service.Ports) {
		q := p.at("ports").at(name)
		if why := badName(name); why != "" {
			s.wrong(q, "port name "+strconv.Quote(name)+" "+why, "")
		}
		portInRange(s, q, port)
	}
}

func portInRange(s *subject, p *place, port int) {
	if port < 1 || port > 65535 {
		s.wrong(p, strconv.Itoa(port)+" is not a port", "ports are 1 to 65535")
	}
}

func published(s *subject, p *place, service Service) {
	for i, pub := range service.Publish {
		q := p.at("publish").index(i)
		portInRange(s, q.at("port"), pub.Port)
		portInRange(s, q.at("container"), pub.Container)
		if why := badAddress(pub.Host); why != "" {
			s.wrong(q.at("host"), strconv.Quote(pub.Host)+" "+why, "write it like 127.0.0.1 or 0.0.0.0")
		}
	}
	if len(service.Publish) > 0 && service.Network == "host" {
		s.wrong(p.at("publish"), "a service on the host's network has all its ports there already", "drop publish, or network: host")
	}
}

func oneProbe(s *subject, p *place, service Service) {
	h := service.Health
	if h == nil {
		return
	}
	p = p.at("health")
	kinds := 0
	for _, given := range []bool{h.HTTP != nil, h.TCP != nil, h.Exec != nil, h.Image} {
		if given {
			kinds++
		}
	}
	if kinds != 1 {
		s.wrong(p, fmt.Sprintf("health has %d probes; a service has exactly one", kinds), "keep one of http, tcp, exec and image")
	}
	if h.HTTP != nil {
		probedPort(s, p.at("http"), h.HTTP.Port, service)
		if !strings.HasPrefix(h.HTTP.Path, "/") && !strings.HasPrefix(h.HTTP.Path, "{{") {
			s.wrong(p.at("http").at("path"), strconv.Quote(h.HTTP.Path)+" does not begin with /", "")
		}
		if st := h.HTTP.Status; st != 0 && (st < 100 || st > 599) {
			s.wrong(p.at("http").at("status"), strconv.Itoa(st)+" is not an HTTP status", "")
		}
	}
	if h.TCP != nil {
		probedPort(s, p.at("tcp"), h.TCP.Port, service)
	}
	if h.Exec != nil && len(h.Exec.Command) == 0 {
		s.wrong(p.at("exec"), "the probe has no command", "")
	}
	if h.Successes < 0 || h.Failures < 0 {
		s.wrong(p, "successes and failures are at least 1", "")
	}
}

func probedPort(s *subject, p *place, name string, service Service) {
	_, known := service.Ports[name]
	switch {
	case name != "" && !known:
		s.wrong(p.at("port"), "the service has no port "+name, have(name, service.Ports))
	case name == "" && len(service.Ports) == 0:
		s.wrong(p, "the probe needs a port and the service has none", "add port: 8080, or whatever it listens on")
	case name == "":
		if _, ok := onlyPort(service.Ports); !ok {
			s.wrong(p, "the service has several ports and none is named http", "say which: "+have("", service.Ports))
		}
	}
}

func jobAlone(s *subject, p *place, service Service) {
	if service.Job == nil {
		return
	}
	for _, c := range []struct {
		bad              bool
		field, text, fix string
	}{
		{service.Health != nil, "health", "a job proves itself by its exit status and has no health", "drop health"},
		{service.Restart != "" && service.Restart != "never", "restart", "a job runs once and is not restarted", "drop restart"},
		{service.Sidecar, "sidecar", "a job is no sidecar", "drop sidecar"},
		{service.Scope == "tenant", "scope", "a job runs once for each generation, in a slot", "drop scope: tenant"},
		{service.WhenRouted(), "active", "a job runs when job.at says", "drop active; at: afterSwitch runs in the routed slot"},
		{len(service.Publish) > 0, "publish", "a job publishes no ports", "drop publish"},
	} {
		if c.bad {
			s.wrong(p.at(c.field), c.text, c.fix)
		}
	}
}

func whereItLives(s *subject, p *place, service Service) {
	if service.Sidecar && service.Scope == "tenant" {
		s.wrong(p.at("sidecar"), "a sidecar lives in each slot, and scope: tenant exists once", "keep one of them")
	}
	if service.Scope == "tenant" && service.WhenRouted() {
		s.wrong(p.at("active"), "a service with scope: tenant is in no slot and always runs", "drop active or scope")
	}
}

func engineWords(s *subject, p *place, service Service) {
	for _, c := range []struct {
		ok          bool
		field       []string
		value, want string
	}{
		{service.Workdir == "" || service.Workdir == "/" || absolute(service.Workdir), []string{"workdir"}, service.Workdir, "an absolute path such as /srv"},
		{service.Resources.Memory == "" || memory.MatchString(service.Resources.Memory), []string{"resources", "memory"}, service.Resources.Memory, "a size such as 512M"},
		{service.Resources.CPUs >= 0, []string{"resources", "cpus"}, fmt.Sprint(service.Resources.CPUs), "a number of processors such as 0.5"},
		{service.Resources.Pids >= 0, []string{"resources", "pids"}, fmt.Sprint(service.Resources.Pids), "a number of processes"},
		{service.StopSignal == "" || signal.MatchString(service.StopSignal), []string{"stopSignal"}, service.StopSignal, "a signal such as SIGTERM"},
	} {
		if !c.ok {
			q := p
			for _, f := range c.field {
				q = q.at(f)
			}
			s.wrong(q, strconv.Quote(c.value)+" is not "+c.want, "")
		}
	}
}

// nothingUnexpanded refuses {{ where it would reach the runtime as it is.
func nothingUnexpanded(s *subject, p *place, service Service) {
	check := func(p *place, text string) {
		if strings.Contains(text, "{{") {
			s.wrong(p, "nothing is expanded here", "{{…}} works in env, envFrom.file, command, args, files' text, labels, health, hosts and volume sources")
		}
	}
	check(p.at("image"), service.Image)
	check(p.at("user"), service.User)
	check(p.at("workdir"), service.Workdir)
	for path, m := range Sorted(service.Mounts) {
		check(p.at("mounts").at(path), path)
		check(p.at("mounts").at(path).at("path"), m.Path)
	}
	for path := range Sorted(service.Files) {
		check(p.at("files").at(path), path)
	}
	for i, path := range service.Tmpfs {
		check(p.at("tmpfs").index(i), path)
	}
}
