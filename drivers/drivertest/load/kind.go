package load

// Kind is one way to send requests.
type Kind string

// The kinds, each with the path it asks for.
const (
	Get    Kind = "get"       // GET / on a connection kept alive
	Post   Kind = "post"      // POST /count?id=ID on a connection kept alive
	Fresh  Kind = "fresh"     // GET / on a new connection each time
	Stream Kind = "stream"    // GET /stream?for=DURATION: an answer that takes its time and ends with End
	Socket Kind = "websocket" // GET /echo: one upgrade, then messages that come back
)

// Kinds are all kinds, in the order they are printed.
var Kinds = []Kind{Get, Post, Fresh, Stream, Socket}

// End is the last line of a streamed answer that is whole.
const End = "end\n"

// Default is the number of workers of each kind where Config names none.
var Default = map[Kind]int{Get: 4, Post: 2, Fresh: 2, Stream: 1, Socket: 1}
