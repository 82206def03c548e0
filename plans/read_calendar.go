package plans

import "fmt"

// calendar reads when a policy lets something be started.
func (r *resolver) calendar(d *Document, out *BatchPolicy) {
	read := r.read(d)
	wrong := func(path, text, hint string) {
		at := d.At
		if d.Where != nil {
			at = d.Where(path)
		}
		r.found.add(at, "/spec"+path, text, hint)
	}
	windows := root.at("windows")
	for i, item := range read.items(windows, d.Spec["windows"]) {
		p := windows.index(i)
		m := read.object(p, item)
		w := Window{Days: read.texts(p.at("days"), m["days"]), From: read.text(p.at("from"), m["from"]), To: read.text(p.at("to"), m["to"])}
		if _, _, err := w.minutes(); err != nil {
			wrong(p.at("to").String(), "the window is no good: "+err.Error(),
				"write two times of day such as from: \"22:00\" and to: \"04:00\"; a whole day is from: \"00:00\", to: \"24:00\"")
		}
		out.Windows = append(out.Windows, w)
	}
	freeze := root.at("freeze")
	for i, item := range read.items(freeze, d.Spec["freeze"]) {
		p := freeze.index(i)
		m := read.object(p, item)
		f := Freeze{From: read.text(p.at("from"), m["from"]), To: read.text(p.at("to"), m["to"]), Reason: read.text(p.at("reason"), m["reason"])}
		if _, _, err := f.span(nil); err != nil {
			wrong(p.at("from").String(), "the freeze is no good: "+err.Error(), "write dates such as from: \"2026-12-20\" and to: \"2027-01-03\"")
		}
		out.Freeze = append(out.Freeze, f)
	}
	zone := root.at("timeZone")
	switch out.TimeZone = read.text(zone, d.Spec["timeZone"]); out.TimeZone {
	case "", "UTC":
		return
	}
	if len(out.Windows) == 0 && len(out.Freeze) == 0 {
		wrong("/timeZone", "timeZone is set, and there are no windows and no freeze dates", "remove it, or add windows")
		return
	}
	z, ok := d.Zones[out.TimeZone]
	if !ok {
		wrong("/timeZone", fmt.Sprintf("the rules of time zone %q are not known", out.TimeZone), "write a name such as Europe/Berlin, or UTC")
		return
	}
	out.Zone = &z
}

// floor reads a number of tenants or a share of them.
func (r reader) floor(p *place, v any) Floor {
	switch s := v.(type) {
	case nil:
	case string:
		n := 0
		if _, err := fmt.Sscanf(s, "%d%%", &n); err != nil || s != fmt.Sprintf("%d%%", n) || n < 1 || n > 99 {
			r.wrong(p, fmt.Sprintf("%q is no share of tenants", s), "write a number such as 40, or a share from \"1%\" to \"99%\"")
			return ""
		}
		return Floor(s)
	default:
		if n := r.integer(p, v); n > 0 {
			return Floor(fmt.Sprint(n))
		}
		r.wrong(p, "it is less than 1", "write a number such as 40, or a share such as \"90%\"")
	}
	return ""
}
