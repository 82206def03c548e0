package schema

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/gitops-fleet/reconcile/plans"
)

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntaxWords says what the YAML package means, and what to do.
var syntaxWords = map[string][2]string{
	"mapping values are not allowed in this context": {"a colon and a space start a map where none can be",
		`put text that holds ": " in quotes, or compare the indentation with the line above`},
	"found unexpected end of stream":                         {"a quote that opens here is never closed", "close it"},
	"did not find expected ',' or '}'":                       {"a { that is open here is not closed, or a comma is missing", "close it"},
	"did not find expected ',' or ']'":                       {"a [ that is open here is not closed, or a comma is missing", "close it"},
	"did not find expected <document start>":                 {"something follows where the document has ended", "put all its fields at one level, or start a new document with ---"},
	"did not find expected node content":                     {"a value is missing here", "write it; text that starts with a special character is written in quotes"},
	"did not find expected key":                              {"a line of the map that starts here is indented differently from the others", "indent all its keys alike"},
	"did not find expected '-' indicator":                    {"a line of the list that starts here is indented differently from the others", "indent all its entries alike"},
	"found character that cannot start any token":            {"a value starts with a character that means something else in YAML", "write it in quotes"},
	"could not find expected ':'":                            {"a key has no colon after it", "write KEY: VALUE"},
	"block sequence entries are not allowed in this context": {"a list entry stands where none can be", "start the list on a line of its own"},
}

// syntaxProblem says in our words, and at the right line, what the YAML package
// says in its own.
func syntaxProblem(p part, err error) plans.Problem {
	line, what := 1, err.Error()
	if m := yamlError.FindStringSubmatch(what); m != nil {
		what = m[2]
		if m[1] != "" {
			line, _ = strconv.Atoi(m[1])
			// Its parser, other than its scanner, counts lines from 0.
			if strings.HasPrefix(what, "did not find expected") {
				line++
			}
		}
	}
	lines := strings.Split(p.text, "\n")
	for i := max(0, line-2); i < min(len(lines), line+1); i++ {
		rest := strings.TrimLeft(lines[i], " ")
		switch {
		case strings.HasPrefix(rest, "\t") && strings.TrimSpace(rest) != "":
			return plans.Problem{Pos: p.pos(i+1, len(lines[i])-len(rest)+1),
				Text: "the text is not YAML: this line is indented with a tab", Hint: "indent with spaces"}
		case strings.HasPrefix(lines[i], "%"):
			return plans.Problem{Pos: p.pos(i+1, 1), Text: "YAML directives are not supported", Hint: "remove the line"}
		}
	}
	if name, ok := strings.CutPrefix(what, "unknown anchor '"); ok {
		name, _, _ = strings.Cut(name, "'")
		return plans.Problem{Pos: anchorPlace(p, name), Text: "the alias *" + name + " has no anchor &" + name + " before it",
			Hint: "an anchor holds within one document; write the value out, or quote text that starts with *"}
	}
	if words, ok := syntaxWords[what]; ok {
		return plans.Problem{Pos: p.pos(line, 1), Text: "the text is not YAML: " + words[0], Hint: words[1]}
	}
	return plans.Problem{Pos: p.pos(line, 1), Text: "the text is not YAML: " + what,
		Hint: "compare the indentation and the quotes of this line and the ones around it"}
}

// anchorPlace finds an alias the YAML package names without a line.
func anchorPlace(p part, name string) plans.Pos {
	for i, text := range strings.Split(p.text, "\n") {
		if at := strings.Index(text, "*"+name); at >= 0 {
			return p.pos(i+1, at+1)
		}
	}
	return p.pos(1, 1)
}
