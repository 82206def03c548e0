package plans

import (
	"strconv"
)

// MaxParallelCopies bounds copy.parallel: beyond it a disk gets slower and not
// faster.
const MaxParallelCopies = 64

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
			{v.Volatile && v.OnUpgrade == Snapshot, "volatile", "a snapshot of data that a reboot takes away leads nowhere", "drop volatile, or onUpgrade: snapshot"},
			{v.Volatile && v.Import, "volatile", "data that are taken over are not volatile", "drop volatile, or import"},
			{v.Import && len(v.places()) == 0, "import", "import takes over one place, and no source names it", "add source: the place the data are in"},
			{v.Copy.Parallel < 0 || v.Copy.Parallel > MaxParallelCopies, "copy", strconv.Itoa(v.Copy.Parallel) + " files cannot be copied at a time", "write 1 to " + strconv.Itoa(MaxParallelCopies)},
			{v.Filesystem != "" && v.Size == "", "filesystem", "a filesystem is made on a block device, which needs a size", "add size, such as 10G, or drop filesystem"},
			{v.Quota != "" && v.Size != "", "quota", "a quota is for the files of a dataset; with size the volume is a block device, which holds no more than that", "drop quota, or drop size"},
			{v.Owner != "" && !ownership.MatchString(v.Owner), "owner", strconv.Quote(v.Owner) + " is not an owner", `write numbers, like "1000:1000"`},
			{v.Mode != "" && !octal.MatchString(v.Mode), "mode", strconv.Quote(v.Mode) + " is not an octal mode", `write it like "0750"`},
		} {
			if c.bad {
				s.wrong(p.at(c.field), c.text, c.fix)
			}
		}
		for field, size := range Sorted(map[string]string{"quota": v.Quota, "reservation": v.Reservation, "recordSize": v.RecordSize, "size": v.Size}) {
			if size != "" && !byteSize.MatchString(size) {
				s.wrong(p.at(field), strconv.Quote(size)+" is not a size", `write it like "512K" or "10G"`)
			}
		}
		freezeMakesSense(s, p.at("freeze"), t, name, v)
	}
}

// freezeMakesSense holds a freeze hook to the service it names.
func freezeMakesSense(s *subject, p *place, t *Tenant, name string, v Volume) {
	if v.Freeze == nil {
		return
	}
	f := v.Freeze
	service, known := t.Core.Services[f.Service]
	if !known {
		service, known = t.Aside[f.Service]
	}
	mounts := false
	for _, m := range Sorted(service.Mounts) {
		mounts = mounts || m.Volume == name
	}
	switch {
	case len(f.Command) == 0:
		s.wrong(p, "a freeze hook has no command", "add command: [...], such as a checkpoint of the database")
	case !known:
		s.wrong(p.at("service"), "there is no service "+strconv.Quote(f.Service), have(f.Service, t.Core.Services))
	case service.Job != nil:
		s.wrong(p.at("service"), f.Service+" is a job and does not run when the snapshot is taken", "name the service that writes")
	case !mounts:
		s.wrong(p.at("service"), f.Service+" does not mount the volume "+name, "name a service that does")
	}
	if v.OnUpgrade != Snapshot && v.OnUpgrade != Clone {
		s.wrong(p, "no snapshot is taken of the volume", "set onUpgrade: snapshot or clone, or drop freeze")
	}
	for _, hook := range []string{HookName(FreezeHook, name), HookName(ThawHook, name)} {
		_, taken := t.Core.Services[hook]
		_, aside := t.Aside[hook]
		if taken || aside {
			s.wrong(p, "a service has the name of its one-shot instance, "+hook, "rename the service")
		}
	}
	// They are expanded when they are run; a name that is not known is told now.
	names := s.values(t, portsOf(service))
	for field, words := range Sorted(map[string][]string{"command": f.Command, "thaw": f.Thaw}) {
		for i, word := range words {
			s.expand(names, p.at(field).index(i), word)
		}
	}
}

// The one-shot instances of a freeze.
const (
	FreezeHook = "freeze"
	ThawHook   = "thaw"
)

// HookName is the service name of a volume's one-shot instance.
func HookName(hook, volume string) string { return hook + "-" + volume }

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
