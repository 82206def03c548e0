package plans

import "maps"

// draft is a tenant on its way through the layers.
type draft struct {
	Tenant
	services map[string]Service // all of them, before they are told apart
	raw      map[string]any     // what the layers so far merge to
}

// newDraft is what holds where no document says otherwise.
func newDraft() draft {
	return draft{Tenant: Tenant{
		Bake: DefaultBake, Drain: DefaultDrain, Soak: Soak{For: DefaultSoak}, Retention: DefaultRetention(),
	}}
}

// apply returns d with one more layer on it. Only the fields the layer touches
// are read again; all others are shared with d.
func (r reader) apply(d draft, patch map[string]any) draft {
	base := d.raw
	d.raw, _ = Merge(base, patch).(map[string]any)
	if slots, ok := patch["slots"].(map[string]any); ok {
		d.raw["slots"] = composeSlots(base["slots"], slots)
	}
	for key, p := range Sorted(patch) {
		r.tenantField(&d, key, d.raw[key], p)
	}
	return d
}

// composeSlots merges the slots of two layers. null removes a slot, but within
// one it stays: it is meant for what the slot is applied to.
func composeSlots(base any, patch map[string]any) map[string]any {
	out := maps.Clone(objectOf(base))
	if out == nil {
		out = make(map[string]any, len(patch))
	}
	for slot, body := range Sorted(patch) {
		if body == nil {
			delete(out, slot)
			continue
		}
		out[slot] = compose(out[slot], body)
	}
	return out
}

func objectOf(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// tenantField fills one field from its merged value v; nil is "not given".
// patch is what the last layer said of it.
func (r reader) tenantField(d *draft, key string, v, patch any) {
	p := root.at(key)
	switch key {
	case "template":
		d.Template = r.text(p, v)
	case "node":
		d.Node = r.text(p, v)
	case "runtime":
		d.Runtime = r.text(p, v)
	case "batchPolicy":
		d.Policy = r.text(p, v)
	case "strategy":
		d.Strategy = Strategy(r.choice(p, v, "", string(BlueGreen), string(Recreate)))
	case "overlap":
		d.Overlap = r.truth(p, v)
	case "activeSlot":
		d.ActiveSlot = Slot(r.choice(p, v, "auto", string(Blue), string(Green)))
	case "services":
		d.services = r.services(d.services, p, r.object(p, v), r.object(p, patch))
	case "routes":
		d.Routes = table(r, p, v, r.route)
	case "volumes":
		d.Volumes = table(r, p, v, r.volume)
	case "slots":
		// Read when all layers are there.
	case "bake":
		d.Bake = r.duration(p, v, DefaultBake)
	case "drain":
		d.Drain = r.duration(p, v, DefaultDrain)
	case "soak":
		m := r.object(p, v)
		d.Soak = Soak{
			For:  r.duration(p.at("for"), m["for"], DefaultSoak),
			Keep: r.choice(p.at("keep"), m["keep"], "stopped", "running"),
		}
	case "retention":
		m, unset := r.object(p, v), DefaultRetention()
		d.Retention = Retention{
			PreUpgrade: r.keep(p.at("preUpgrade"), m["preUpgrade"], unset.PreUpgrade),
			Final:      r.keep(p.at("final"), m["final"], unset.Final),
			Discarded:  r.keep(p.at("discarded"), m["discarded"], unset.Discarded),
		}
	case "retire":
		d.Retire = r.choice(p, v, "auto", "decision")
	case "hold":
		d.Hold = nil
		if v != nil {
			m := r.object(p, v)
			d.Hold = &HoldWord{Reason: r.text(p.at("reason"), m["reason"]), Until: r.time(p.at("until"), m["until"])}
		}
	case "removed":
		d.Removed = r.truth(p, v)
	default:
		r.wrong(p, "a tenant has no field \""+key+"\"", "")
	}
}

// services returns base with a patch on it; merged is what the patch led to.
func (r reader) services(base map[string]Service, p *place, merged, patch map[string]any) map[string]Service {
	if len(patch) == 0 && len(merged) > 0 {
		return base
	}
	out := make(map[string]Service, len(merged))
	for name, v := range Sorted(merged) {
		old, known := base[name]
		said, touched := patch[name]
		if known && !touched {
			out[name] = old
			continue
		}
		values := r.object(p.at(name), v)
		fields := objectOf(said)
		if !known {
			old, fields = Service{}, values
		}
		for key := range Sorted(fields) {
			r.serviceField(&old, p.at(name), key, values[key])
		}
		out[name] = old
	}
	return out
}

func (r reader) route(p *place, v any) *Route {
	m := r.object(p, v)
	route := &Route{
		Hosts:   r.texts(p.at("hosts"), m["hosts"]),
		Path:    r.text(p.at("path"), m["path"]),
		Service: r.text(p.at("service"), m["service"]),
		Port:    r.text(p.at("port"), m["port"]),
	}
	if route.Path == "/" {
		route.Path = ""
	}
	return route
}
