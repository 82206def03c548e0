package plans

import "maps"

// Short forms are written out before layers are merged, so that a short form in
// one layer and a long one in another mean the same thing:
//
//	port: 8080             →  ports: {http: 8080}
//	mounts: {/data: data}  →  mounts: {/data: {volume: data}}

// longForm returns spec with every short form of its services, and of those
// in its slots, written out. spec is not changed; what has none is shared.
func longForm(spec map[string]any) map[string]any {
	out, _ := longBody(spec)
	out, _ = within(out, "slots", func(slots map[string]any) (map[string]any, bool) {
		return each(slots, longBody)
	})
	return out
}

func longBody(body map[string]any) (map[string]any, bool) {
	return within(body, "services", func(services map[string]any) (map[string]any, bool) {
		return each(services, longService)
	})
}

func longService(service map[string]any) (map[string]any, bool) {
	out, changed := within(service, "mounts", longMounts)
	port, short := service["port"]
	if !short {
		return out, changed
	}
	out = maps.Clone(out)
	delete(out, "port")
	ports := map[string]any{"http": port}
	if long, ok := service["ports"].(map[string]any); ok {
		maps.Copy(ports, long)
	}
	out["ports"] = ports
	return out, true
}

func longMounts(mounts map[string]any) (map[string]any, bool) {
	out, changed := mounts, false
	for path, m := range Sorted(mounts) {
		if volume, short := m.(string); short {
			if !changed {
				out, changed = maps.Clone(mounts), true
			}
			out[path] = map[string]any{"volume": volume}
		}
	}
	return out, changed
}

// within returns m with the object at key put through f, and whether that
// changed it. What is no object stays.
func within(m map[string]any, key string, f func(map[string]any) (map[string]any, bool)) (map[string]any, bool) {
	old, ok := m[key].(map[string]any)
	if !ok {
		return m, false
	}
	value, changed := f(old)
	if !changed {
		return m, false
	}
	m = maps.Clone(m)
	m[key] = value
	return m, true
}

// each is within for every key of m.
func each(m map[string]any, f func(map[string]any) (map[string]any, bool)) (map[string]any, bool) {
	out, changed := m, false
	for key := range Sorted(m) {
		next, did := within(out, key, f)
		out, changed = next, changed || did
	}
	return out, changed
}
