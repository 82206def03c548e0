package plans

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// label is a DNS label in small letters (RFC 1123): names become host names,
// network aliases and parts of object names.
var label = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// badName says why name cannot be used, or "".
func badName(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > 63:
		return fmt.Sprintf("has %d characters; at most 63 are possible", len(name))
	case !label.MatchString(name):
		return "has characters that a name cannot have; use small letters, digits and hyphens, such as web-1"
	}
	return ""
}

// badHost says why a host name cannot be routed, or "".
func badHost(host string) string {
	if host == "" {
		return "is empty"
	}
	if len(host) > 253 {
		return fmt.Sprintf("has %d characters; at most 253 are possible", len(host))
	}
	if strings.Contains(host, "*") {
		return "has a wildcard; routes name each host"
	}
	for i := range len(host) {
		if host[i] >= 0x80 {
			return "is not ASCII; write it in punycode (xn--…)"
		}
	}
	for part := range strings.SplitSeq(host, ".") {
		if badName(part) != "" {
			return "is not a host name; write it without scheme, port and path, such as app.example.com"
		}
	}
	return ""
}

// image is a reference by digest: [registry[:port]/]path[:tag]@sha256:hex, as
// the distribution project's reference grammar has it.
var image = regexp.MustCompile(`^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]+)?/)?` +
	`[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*` +
	`(?::\w[\w.-]{0,127})?@sha256:[0-9a-f]{64}$`)

var (
	memory    = regexp.MustCompile(`^[1-9][0-9]*[KMG]?$`)
	signal    = regexp.MustCompile(`^SIG[A-Z0-9]+([+-][0-9]+)?$`)
	variable  = regexp.MustCompile(`^[^=\s\x00]+$`)
	ownership = regexp.MustCompile(`^[0-9]+:[0-9]+$`)
	byteSize  = regexp.MustCompile(`^[1-9][0-9]*[KMGT]?$`)
	octal     = regexp.MustCompile(`^0?[0-7]{3}$`)
)

// absolute says that path is absolute and in its shortest spelling. Where it
// stands for a place in an instance, / itself is none.
func absolute(path string) bool {
	return len(path) > 1 && path[0] == '/' && path[len(path)-1] != '/' && clean(path[1:])
}

// insideRoot says that a relative path stays below where it starts.
func insideRoot(path string) bool { return path != "" && path[0] != '/' && clean(path) }

// clean says that a path has no element that is empty, "." or "..".
func clean(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." || strings.ContainsRune(part, 0) {
			return false
		}
	}
	return true
}

// leaves says that path holds "..".
func leaves(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if part == ".." {
			return true
		}
	}
	return false
}

// badAddress says why text is no address to publish on, or "".
func badAddress(text string) string {
	if text == "" {
		return ""
	}
	if _, err := netip.ParseAddr(text); err != nil {
		return "is not an IP address"
	}
	return ""
}
