package plans

import "strings"

// list writes words for a message: "a, b or c".
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// nearest returns the known word that name is most likely a slip of, or "".
func nearest[V any](name string, known map[string]V) string {
	if name == "" {
		return ""
	}
	best, least := "", len(name)/3+1
	for word := range Sorted(known) {
		if d := Distance(name, word); d <= least && (best == "" || d < least) {
			best, least = word, d
		}
	}
	return best
}

// Distance is the number of edits of one byte between a and b (Levenshtein).
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// have lists what there is, for the hint of an unknown or missing reference.
func have[V any](name string, known map[string]V) string {
	if n := nearest(name, known); n != "" {
		return "did you mean " + n + "?"
	}
	names := make([]string, 0, len(known))
	for word := range Sorted(known) {
		if len(names) == 8 {
			names = append(names, "…")
			break
		}
		names = append(names, word)
	}
	if len(names) == 0 {
		return "there is none"
	}
	return "there is " + strings.Join(names, ", ")
}
