package plans

import "maps"

// Merge applies patch to base as RFC 7386 says: objects merge by key, null
// removes, everything else replaces. It changes neither; what the patch does
// not touch is shared with base.
func Merge(base, patch any) any { return merge(base, patch, false) }

// compose makes one patch of two: what applying it does is what applying first
// base and then patch does. null stays, for the value it will be applied to.
func compose(base, patch any) any { return merge(base, patch, true) }

func merge(base, patch any, keepNull bool) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	b, ok := base.(map[string]any)
	if ok && len(p) == 0 {
		return b
	}
	out := make(map[string]any, len(b)+len(p))
	maps.Copy(out, b)
	for k, v := range Sorted(p) {
		switch {
		case v != nil:
			out[k] = merge(out[k], v, keepNull)
		case keepNull:
			out[k] = nil
		default:
			delete(out, k)
		}
	}
	return out
}
