package plans

import (
	"cmp"
	"strings"
)

// claimedData are the places in storages that volumes name. One that is imported
// belongs to its volume alone, with all that is in it: no other volume may be
// there, in it, or around it.
type claimedData struct {
	imported map[dataPlace][]claim // what is taken over
	around   map[dataPlace][]claim // every place that has such a one in it
	sources  map[dataPlace][]claim // where volumes are made, and every place that has such a one in it
}

// dataPlace is a driver and a source, in one spelling.
type dataPlace struct{ driver, source string }

// places are where a volume's source is, and all above it, nearest first. How a
// source is spelled makes no difference: "a//b/" is "a/b", and no driver is dir.
func (v Volume) places() []dataPlace {
	driver := cmp.Or(v.Driver, "dir")
	var words []string
	for word := range strings.SplitSeq(v.Source, "/") {
		if word != "" && word != "." {
			words = append(words, word)
		}
	}
	root := ""
	if strings.HasPrefix(v.Source, "/") {
		root = "/"
	}
	var out []dataPlace
	for n := len(words); n > 0; n-- {
		out = append(out, dataPlace{driver, root + strings.Join(words[:n], "/")})
	}
	return out
}

// volume enters what a volume claims, and reports what another has claimed before.
func (c *claims) volume(v Volume, s *subject, p *place, mine claim) {
	places := v.places()
	if len(places) == 0 {
		return
	}
	d, here := &c.data, places[0]
	said := false
	held := func(before []claim, what string) {
		for _, other := range before {
			if other.meet(mine) && !said {
				said = true
				s.lacks(p, "tenant "+other.tenant+" "+what+here.source, "what is imported belongs to one volume, with all that is in it: give the other a source beside it")
			}
		}
	}
	if !v.Import {
		for _, above := range places {
			held(d.imported[above], "imports "+above.source+", which has in it ")
		}
		for _, above := range places {
			d.sources[above] = append(d.sources[above], mine)
		}
		return
	}
	held(d.imported[here], "imports ")
	for _, above := range places[1:] {
		held(d.imported[above], "imports "+above.source+", which has in it ")
	}
	held(d.around[here], "imports what is in ")
	held(d.sources[here], "has a volume in ")
	d.imported[here] = append(d.imported[here], mine)
	for _, above := range places[1:] {
		d.around[above] = append(d.around[above], mine)
	}
}
