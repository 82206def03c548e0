package plans

import "fmt"

// policy reads a BatchPolicy.
func (r *resolver) policy(d *Document) BatchPolicy {
	read := r.read(d)
	field := func(name string) (*place, any) { return root.at(name), d.Spec[name] }
	share := func(name string, most int) int {
		p, v := field(name)
		n := read.integer(p, v)
		if v != nil && (n < 1 || most > 0 && n > most) {
			read.wrong(p, fmt.Sprintf("%s is %d", name, n), atLeastOne(most))
			return 0
		}
		return n
	}
	span := func(name string) Duration {
		p, v := field(name)
		return read.duration(p, v, 0)
	}
	out := BatchPolicy{
		Name: d.Name, BatchPct: share("batchPct", 100), BatchSize: share("batchSize", 0), Parallelism: share("parallelism", 0),
		Stagger: span("stagger"), Bake: span("bake"), HealthWithin: span("healthWithin"),
		MaxConsecutiveFailures: share("maxConsecutiveFailures", 0),
	}
	p, v := field("healthWithin")
	if read.duration(p, v, DefaultHealthWithin) == 0 {
		read.wrong(p, "healthWithin is 0s, and no tenant is well at once", "write how long one may take, such as 5m; without it, 5m")
	}
	p, v = field("canary")
	if c := read.object(p, v); v != nil {
		out.Canary = &Canary{Count: read.integer(p.at("count"), c["count"]), Bake: read.duration(p.at("bake"), c["bake"], 0),
			Select: table(read, p.at("select"), c["select"], read.text)}
	}
	p, v = field("rings")
	out.Rings = read.texts(p, v)
	p, v = field("maxFailureRatio")
	if out.MaxFailureRatio = read.float(p, v); v != nil && (out.MaxFailureRatio <= 0 || out.MaxFailureRatio > 1) {
		read.wrong(p, fmt.Sprintf("maxFailureRatio is %g", out.MaxFailureRatio), "write a share above 0 and up to 1, such as 0.3")
	}
	p, v = field("minHealthy")
	out.MinHealthy = read.floor(p, v)
	r.calendar(d, &out)
	p, v = field("approval")
	out.Approval = read.choice(p, v, "none", PerBatch)
	p, v = field("onTrip")
	out.OnTrip = read.choice(p, v, "wait", Rollback)
	if out.BatchPct > 0 && out.BatchSize > 0 {
		p, _ = field("batchSize")
		read.wrong(p, "batchPct and batchSize both say how large a batch is", "keep one of them")
	}
	return out
}

func atLeastOne(most int) string {
	if most > 0 {
		return fmt.Sprintf("write a whole number from 1 to %d", most)
	}
	return "write a whole number, at least 1"
}
