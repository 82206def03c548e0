package plans

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
)

// form writes a normal form: canonical JSON with keys in sorted order, no white
// space, and nothing for what is at its default. The callers name the keys in
// order; a test holds them to it.
type form struct {
	b     []byte
	inner bool // something was written at this level
}

// newForm returns a form with room for a common core.
func newForm() *form { return &form{b: make([]byte, 0, 1024)} }

// digest names the content: prefix and the first 64 bits of its sha256, in hex.
func (f *form) digest(prefix string) string {
	sum := sha256.Sum256(f.b)
	return prefix + hex.EncodeToString(sum[:16])
}

func (f *form) key(k string) {
	if f.inner {
		f.b = append(f.b, ',')
	}
	f.inner = true
	f.quote(k)
	f.b = append(f.b, ':')
}

// object writes k only if fill writes something; always writes it if keep.
func (f *form) object(k string, keep bool, fill func()) {
	start, inner := len(f.b), f.inner
	f.key(k)
	f.nest('{', '}', fill)
	if !keep && f.b[len(f.b)-2] == '{' {
		f.b, f.inner = f.b[:start], inner
	}
}

func (f *form) nest(open, end byte, fill func()) {
	inner := f.inner
	f.b = append(f.b, open)
	f.inner = false
	fill()
	f.b = append(f.b, end)
	f.inner = inner
}

func (f *form) text(k, v, unless string) {
	if v != "" && v != unless {
		f.key(k)
		f.quote(v)
	}
}

func (f *form) number(k string, v, unless int) {
	if v != unless {
		f.key(k)
		f.b = strconv.AppendInt(f.b, int64(v), 10)
	}
}

func (f *form) float(k string, v float64) {
	if v != 0 {
		f.key(k)
		f.b = strconv.AppendFloat(f.b, v, 'g', -1, 64)
	}
}

func (f *form) duration(k string, v, unless Duration) {
	if v != 0 {
		f.text(k, v.String(), unless.String())
	}
}

func (f *form) truth(k string, v bool) {
	if v {
		f.key(k)
		f.b = append(f.b, "true"...)
	}
}

func (f *form) list(k string, v []string) {
	if len(v) > 0 {
		f.key(k)
		f.nest('[', ']', func() {
			for _, s := range v {
				f.item()
				f.quote(s)
			}
		})
	}
}

// set writes a list whose order means nothing.
func (f *form) set(k string, v []string) { f.list(k, slices.Sorted(slices.Values(v))) }

func (f *form) item() {
	if f.inner {
		f.b = append(f.b, ',')
	}
	f.inner = true
}

func (f *form) texts(k string, m map[string]string) {
	f.object(k, false, func() {
		for k, v := range Sorted(m) {
			f.key(k)
			f.quote(v)
		}
	})
}

func (f *form) numbers(k string, m map[string]int) {
	f.object(k, false, func() {
		for k, v := range Sorted(m) {
			f.key(k)
			f.b = strconv.AppendInt(f.b, int64(v), 10)
		}
	})
}

// quote escapes what JSON must have escaped and nothing else.
func (f *form) quote(s string) {
	const digits = "0123456789abcdef"
	f.b = append(f.b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			f.b = append(f.b, '\\', c)
		case c < 0x20:
			f.b = append(f.b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			f.b = append(f.b, c)
		}
	}
	f.b = append(f.b, '"')
}
