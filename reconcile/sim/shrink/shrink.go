// Package shrink makes a run that breaks a rule smaller while it still does: less
// of a number, fewer of what has a name. A run is whatever the caller can make
// again: still says whether a smaller one breaks the same rule.
package shrink

import (
	"reflect"
	"slices"
)

// Number returns a number from least to n for which still holds, n if for no
// smaller one. It goes by halves, and does not try them all.
func Number(n, least int, still func(n int) bool) int {
	for size := (n - least + 1) / 2; size > 0; size /= 2 {
		for n-size >= least && still(n-size) {
			n -= size
		}
	}
	return n
}

// Drop returns those of the names that can be left out together: halves of them
// first, then smaller shares, then one by one. What is left out already comes with
// every question.
func Drop(names, out []string, still func(out []string) bool) []string {
	out = slices.Clone(out)
	left := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(out, name) })
	for size := len(left); size > 0; size /= 2 {
		for from := 0; from < len(left); {
			some := left[from:min(from+size, len(left))]
			if less := append(slices.Clone(out), some...); still(less) {
				out, left = less, slices.Delete(left, from, from+len(some))
				continue
			}
			from += size
		}
	}
	return out
}

// Names are the fields of a struct, handed over by pointer, that are not zero and
// can be left out: numbers with a point, yes or no, and words. What is given as
// kept is not among them.
func Names(of any, kept ...string) []string {
	v := reflect.ValueOf(of).Elem()
	var out []string
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch f.Type.Kind() {
		case reflect.Float64, reflect.Bool, reflect.String:
			if f.IsExported() && !v.Field(i).IsZero() && !slices.Contains(kept, f.Name) {
				out = append(out, f.Name)
			}
		}
	}
	return out
}

// Without sets the named fields of a struct, handed over by pointer, to zero. It
// passes over names the struct does not have.
func Without(of any, names []string) {
	v := reflect.ValueOf(of).Elem()
	for _, name := range names {
		if f := v.FieldByName(name); f.IsValid() {
			f.SetZero()
		}
	}
}
