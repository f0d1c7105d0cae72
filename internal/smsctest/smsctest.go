// Package smsctest runs an SMPP message centre of the npm package smpp, which
// shares no code with Go's libraries nor with ours. It is for tests only.
package smsctest

import (
	"bufio"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/internal/npm"
)

//go:embed smsc.mjs package.json package-lock.json
var sources embed.FS

// The account that the centre lets in.
const (
	SystemID = "rubrica"
	Password = "secret"
)

// Event is something that happened to the centre: bound, refused, submit,
// throttled, ignored, enquire, alive, unbind, unbound, receipt.
type Event struct {
	Event   string `json:"event"`
	ID      string `json:"id"`
	From    string `json:"from"`
	To      string `json:"to"`
	Text    string `json:"text"` // as the centre decodes it
	Coding  int    `json:"coding"`
	Header  string `json:"header"`  // elements of the user data header, in hexadecimal
	Receipt int    `json:"receipt"` // registered_delivery
	Types   [4]int `json:"types"`   // of number and plan: source's, destination's
	Number  int    `json:"number"`
}

// Files hold a certificate and its key, PEM; the centre then speaks TLS.
type Files struct {
	Certificate string `json:"cert,omitempty"`
	Key         string `json:"key,omitempty"`
	Port        int    `json:"port,omitempty"` // 0: a free one
}

// Centre is a message centre that runs until the test ends.
type Centre struct {
	Address string
	Port    int

	mu     sync.Mutex // of the input
	in     io.WriteCloser
	events chan Event
	stop   func()
}

// patience is far above what the centre takes on a loaded machine.
const patience = 30 * time.Second

// Start runs a centre.
func Start(tb testing.TB, files Files) *Centre {
	tb.Helper()
	dir, err := npm.Install("smsc", sources)
	if err != nil {
		tb.Fatalf("installing the message centre (apt-get install nodejs npm): %v", err)
	}
	options, err := json.Marshal(files)
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command("node", filepath.Join(dir, "smsc.mjs"), string(options)) //nolint:noctx // ends with its input
	c := &Centre{events: make(chan Event, 1000)}
	if c.in, err = cmd.StdinPipe(); err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stderr = tb.Output()
	if err := cmd.Start(); err != nil {
		tb.Fatalf("starting Node: %v", err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { c.read(out) })
	c.stop = sync.OnceFunc(func() {
		_ = c.in.Close() // then it ends
		reading.Wait()
		_ = cmd.Wait()
	})
	tb.Cleanup(c.stop)
	c.Port = c.Await(tb, "listening").Number
	c.Address = fmt.Sprintf("127.0.0.1:%d", c.Port)
	return c
}

// Stop ends the centre.
func (c *Centre) Stop() { c.stop() }

func (c *Centre) read(out io.Reader) {
	defer close(c.events)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var e Event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			e = Event{Event: "unreadable", Text: lines.Text()}
		}
		c.events <- e
	}
}

// Next gives what happened next.
func (c *Centre) Next(tb testing.TB) Event {
	tb.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case e, running := <-c.events:
		if !running {
			tb.Fatal("the message centre has ended")
		}
		return e
	case <-timer.C:
		tb.Fatal("nothing happens to the message centre")
	}
	return Event{}
}

// Await gives the next event of a kind; those before it are forgotten.
func (c *Centre) Await(tb testing.TB, kind string) Event {
	tb.Helper()
	for {
		e := c.Next(tb)
		if e.Event == "error" || e.Event == "unreadable" {
			tb.Logf("the message centre says: %s", e.Text)
		}
		if e.Event == kind {
			return e
		}
	}
}

// Order makes the centre do something: throttle number messages, silence, drop
// (all connections), unbind, enquire, garbage, answer messages with a status
// (number).
func (c *Centre) Order(tb testing.TB, do string, number int) {
	tb.Helper()
	c.order(tb, map[string]any{"do": do, "number": number})
}

// Deliver makes the centre send a receipt for a message: with the word in its
// text or, if state is not 0, in optional parameters.
func (c *Centre) Deliver(tb testing.TB, id, word string, state int) {
	tb.Helper()
	c.order(tb, map[string]any{"do": "receipt", "id": id, "word": word, "number": state})
}

func (c *Centre) order(tb testing.TB, command map[string]any) {
	tb.Helper()
	line, err := json.Marshal(command)
	if err != nil {
		tb.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.in.Write(append(line, '\n')); err != nil {
		tb.Fatalf("ordering the message centre about: %v", err)
	}
}
