package caddy

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
)

// lastWords returns why the proxy ended: the last error in its log, else the
// last line it printed.
func (p Proxy) lastWords() string {
	words := "it said nothing"
	for _, name := range []string{outputName, logName} {
		b, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			continue // not made yet
		}
		lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
		last := lines[len(lines)-1]
		var entry struct{ Level, Msg string }
		switch {
		case json.Unmarshal(last, &entry) == nil && (entry.Level == "error" || entry.Level == "fatal"):
			words = entry.Msg
		case len(last) > 0 && last[0] != '{':
			words = string(last)
		}
	}
	return words
}
