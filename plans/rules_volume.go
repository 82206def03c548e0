package plans

import (
	"strconv"
)

func volumesMakeSense(s *subject, t *Tenant) {
	for name, v := range Sorted(t.Volumes) {
		p := root.at("volumes").at(name)
		if why := badName(name); why != "" {
			s.wrong(p, "volume name "+strconv.Quote(name)+" "+why, "")
		}
		for _, c := range []struct {
			bad              bool
			field, text, fix string
		}{
			{v.OnUpgrade == Clone && v.Writes == "", "onUpgrade", "a clone must say what becomes of writes made after it",
				"add writes: quiesce (requests wait while it is made) or writes: replay (the application carries them over)"},
			{v.OnUpgrade != Clone && v.Writes != "", "writes", "writes means something only with onUpgrade: clone", "set onUpgrade: clone, or drop writes"},
			{v.Writes != Quiesce && v.OnBack != "", "onBack", "onBack means something only with writes: quiesce", "set writes: quiesce, or drop onBack"},
			{v.OnUpgrade != Clone && v.Rehearse, "rehearse", "a rehearsal is made on a clone", "set onUpgrade: clone, or drop rehearse"},
			{v.Owner != "" && !ownership.MatchString(v.Owner), "owner", strconv.Quote(v.Owner) + " is not an owner", `write numbers, like "1000:1000"`},
			{v.Mode != "" && !octal.MatchString(v.Mode), "mode", strconv.Quote(v.Mode) + " is not an octal mode", `write it like "0750"`},
		} {
			if c.bad {
				s.wrong(p.at(c.field), c.text, c.fix)
			}
		}
	}
}

// checkMounts holds mounts to the tenant's volumes, and what a volume does on
// an upgrade to who mounts it.
func (s *subject) checkMounts(t *Tenant, services map[string]Service) {
	for name, service := range Sorted(services) {
		for path, m := range Sorted(service.Mounts) {
			p := root.at("services").at(name).at("mounts").at(path)
			v, known := t.Volumes[m.Volume]
			switch {
			case m.Volume == "":
			case !known:
				s.wrong(p, "there is no volume "+strconv.Quote(m.Volume), have(m.Volume, t.Volumes))
			case service.Scope == "tenant" && (v.OnUpgrade == Clone || v.OnUpgrade == Fresh):
				s.wrong(p, "service "+name+" outlives the switch, but volume "+m.Volume+" is another one after it (onUpgrade: "+v.OnUpgrade+")",
					"set onUpgrade: share, or keep the data of "+name+" in a volume of its own")
			case service.Scope != "tenant" && t.Strategy == BlueGreen && !m.ReadOnly && v.Access == "" && (v.OnUpgrade == "" || v.OnUpgrade == Snapshot):
				s.wrong(root.at("volumes").at(m.Volume), "under blueGreen two generations would write volume "+m.Volume+" at the same time",
					"set onUpgrade: clone with writes: quiesce, or access: many if the application can share it, or strategy: recreate")
			}
		}
	}
}
