package schema

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

// What a plain (unquoted) scalar means follows YAML 1.2's core schema: null,
// true and false, decimal numbers, and everything else is text; a date stays
// the text it is. What YAML 1.1, which many tools still read, takes for
// something else is refused, so that a plan means the same to every reader.
var (
	decimal  = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)$`)
	float    = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	octal    = regexp.MustCompile(`^[-+]?0[0-9_]+$`)
	radix    = regexp.MustCompile(`^[-+]?0(o[0-7_]+|x[0-9a-fA-F_]+|b[01_]+)$`)
	grouped  = regexp.MustCompile(`^[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?$`)
	sixty    = regexp.MustCompile(`^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$`)
	noFinite = regexp.MustCompile(`^([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$`)
)

// exact is the largest whole number a JSON number holds without loss.
const exact = 1 << 53

// scalar turns the text of a plain scalar into a JSON value. If why is not
// empty the text is refused: why says how it can be taken, and hint what to
// write instead.
func scalar(text string) (v any, why, hint string) {
	if text == "" {
		return nil, "", ""
	}
	quoted := strconv.Quote(text)
	switch text[0] {
	case 't', 'T', 'f', 'F', 'n', 'N', 'y', 'Y', 'o', 'O', '~':
		switch text {
		case "null", "Null", "NULL", "~":
			return nil, "", ""
		case "true", "True", "TRUE":
			return true, "", ""
		case "false", "False", "FALSE":
			return false, "", ""
		}
		switch strings.ToLower(text) {
		case "yes", "on":
			return text, text + " is the same as true to some readers of YAML, and text to others", "write true, or " + quoted + " if it is text"
		case "no", "off":
			return text, text + " is the same as false to some readers of YAML, and text to others", "write false, or " + quoted + " if it is text"
		}
		return text, "", ""
	case '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '+', '-', '.':
		return number(text, quoted)
	}
	return text, "", ""
}

func number(text, quoted string) (v any, why, hint string) {
	switch {
	case decimal.MatchString(text), !octal.MatchString(text) && float.MatchString(text):
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(f, 0) {
			return text, text + " is too large for a number", "write " + quoted + " if it is text"
		}
		if math.Abs(f) > exact && decimal.MatchString(text) {
			return text, text + " has more digits than a number keeps", "write " + quoted + " if it is text"
		}
		return f, "", ""
	case octal.MatchString(text), radix.MatchString(text):
		return text, text + " is a number with another base to some readers of YAML, and not to others", "write " + quoted + " if it is text or permissions, else the decimal number"
	case grouped.MatchString(text):
		return text, text + " is a number to some readers of YAML, and text to others", "write " + strings.ReplaceAll(text, "_", "") + ", or " + quoted + " if it is text"
	case sixty.MatchString(text):
		return text, text + " is a number to the base of 60 to some readers of YAML, and text to others", "write " + quoted
	case noFinite.MatchString(text):
		return text, text + " is no number a plan can hold", "write " + quoted + " if it is text"
	}
	return text, "", ""
}
