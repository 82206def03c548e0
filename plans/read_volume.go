package plans

func (r reader) volume(p *place, v any) Volume {
	m := r.object(p, v)
	text := func(name string) string { return r.text(p.at(name), m[name]) }
	return Volume{
		Driver:      text("driver"),
		Source:      text("source"),
		Access:      r.choice(p.at("access"), m["access"], "single", "many"),
		OnUpgrade:   r.choice(p.at("onUpgrade"), m["onUpgrade"], Share, Snapshot, Clone, Fresh),
		Writes:      r.choice(p.at("writes"), m["writes"], "", Replay, Quiesce),
		OnBack:      r.choice(p.at("onBack"), m["onBack"], Stay, Carry, Discard),
		HoldLimit:   r.holdLimit(p.at("holdLimit"), m["holdLimit"]),
		Rehearse:    r.truth(p.at("rehearse"), m["rehearse"]),
		Freeze:      r.freeze(p.at("freeze"), m["freeze"]),
		Import:      r.truth(p.at("import"), m["import"]),
		Volatile:    r.truth(p.at("volatile"), m["volatile"]),
		Copy:        Copy{Parallel: r.integer(p.at("copy").at("parallel"), r.object(p.at("copy"), m["copy"])["parallel"])},
		Owner:       text("owner"),
		Mode:        text("mode"),
		Quota:       text("quota"),
		Reservation: text("reservation"),
		Compression: text("compression"),
		RecordSize:  text("recordSize"),
		Size:        text("size"),
		Filesystem:  r.choice(p.at("filesystem"), m["filesystem"], "xfs", "ext4"),
	}
}

// holdLimit reads how long requests may wait, 0 where that is not said.
func (r reader) holdLimit(p *place, v any) Duration {
	d := r.duration(p, v, MinHoldLimit)
	switch {
	case v == nil:
		return 0
	case d < MinHoldLimit:
		r.wrong(p, "holdLimit is "+d.String()+": part of it is kept to undo the switch, and what is left is too short for one",
			"write "+MinHoldLimit.String()+" or longer; without it, "+DefaultHoldLimit.String())
	}
	return d
}

func (r reader) freeze(p *place, v any) *Hook {
	if v == nil {
		return nil
	}
	m := r.object(p, v)
	return &Hook{
		Service: r.text(p.at("service"), m["service"]),
		Command: r.texts(p.at("command"), m["command"]),
		Thaw:    r.texts(p.at("thaw"), m["thaw"]),
		Timeout: r.duration(p.at("timeout"), m["timeout"], 0),
	}
}

// keep reads one rule of a retention. One that says something says all of it:
// count alone keeps by count alone.
func (r reader) keep(p *place, v any, unset Keep) Keep {
	if v == nil {
		return unset
	}
	m := r.object(p, v)
	k := Keep{For: r.duration(p.at("for"), m["for"], 0), Count: r.integer(p.at("count"), m["count"])}
	if k.Count < 0 {
		r.wrong(p.at("count"), "a count below 0 keeps nothing", "write 0 or more")
	}
	return k
}
