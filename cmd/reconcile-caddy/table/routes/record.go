package routes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
)

// format is the version of the log. A newer one is refused, never guessed at.
const format = 1

// record is one line of the log: the whole of one tenant, its removal, or what
// stands beside all tenants. The first line of a file holds the format.
type record struct {
	Format int    `json:"format,omitempty"`
	Last   uint64 `json:"last"` // highest revision given out
	// Tenant with a State is that tenant; without one it is gone.
	Tenant string      `json:"tenant,omitempty"`
	State  *state      `json:"state,omitempty"`
	Table  *tableState `json:"table,omitempty"`
}

// tableState is what stands beside the tenants.
type tableState struct {
	Controller string `json:"controller,omitempty"`
	Damaged    string `json:"damaged,omitempty"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumLen is the length of the checksum and the space before a line's JSON.
const sumLen = 9

// line writes a record: checksum, space, JSON, newline.
func (r record) line() ([]byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%08x %s\n", crc32.Checksum(body, castagnoli), body), nil
}

var errLine = errors.New("a line of the route table does not match its checksum")

// parseLine reads a line without its newline.
func parseLine(b []byte) (r record, err error) {
	if len(b) < sumLen || b[sumLen-1] != ' ' {
		return r, errLine
	}
	sum, err := strconv.ParseUint(string(b[:sumLen-1]), 16, 32)
	if err != nil || uint32(sum) != crc32.Checksum(b[sumLen:], castagnoli) {
		return r, errLine
	}
	return r, json.Unmarshal(b[sumLen:], &r)
}

// copyOf is what one file of the log holds.
type copyOf struct {
	path    string
	content []byte
	records []record
	// corrupt says that a line in the middle is bad: records are those before
	// it. A bad end alone is a write that was never acknowledged.
	corrupt bool
	format  int
}

// last returns the highest revision the copy knows of.
func (c *copyOf) last() uint64 {
	if len(c.records) == 0 {
		return 0
	}
	return c.records[len(c.records)-1].Last
}

// parse reads a file's content.
func parse(path string, content []byte) *copyOf {
	c := &copyOf{path: path, content: content}
	bad := false
	for rest := content; len(rest) > 0; {
		line, tail, whole := bytes.Cut(rest, []byte("\n"))
		rest = tail
		r, err := parseLine(line)
		switch {
		case err != nil || !whole:
			bad = true
		case bad:
			c.corrupt = true
			return c
		case r.Format != 0:
			c.format = r.Format
		default:
			c.records = append(c.records, r)
		}
	}
	if len(content) > 0 && c.format == 0 {
		c.corrupt = true // not even the first line is whole
	}
	return c
}
