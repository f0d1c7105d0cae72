// Package inbox is the far end of two wires of the development environment: an
// SMS gateway and a mail server that deliver to a web page. The service reaches
// it as it reaches a real gateway and a real relay; only a production
// configuration that names it is refused (it has neither TLS nor a phone).
package inbox

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// capacity is how many messages are remembered; the oldest fall out.
const capacity = 500

// Message is an SMS or a mail that has arrived.
type Message struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"` // "sms" or "mail"
	To      string    `json:"to"`   // E.164 number or address
	From    string    `json:"from,omitempty"`
	Subject string    `json:"subject,omitempty"`
	Text    string    `json:"text"`
	At      time.Time `json:"at"`
}

// code finds a one-time code as people read it: eight digits, 4 + 4.
var code = regexp.MustCompile(`\b\d{4} ?\d{4}\b`)

// Code is the one-time code that the text holds, "" if it holds none.
func (m Message) Code() string { return code.FindString(m.Text) }

// Box remembers messages until the process ends.
type Box struct {
	token string

	mu       sync.Mutex
	messages []Message // oldest first
}

// New makes an empty box whose SMS gateway asks for the bearer token.
func New(token string) *Box { return &Box{token: token} }

func (b *Box) add(m Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages = append(b.messages, m)
	if excess := len(b.messages) - capacity; excess > 0 {
		b.messages = slices.Delete(b.messages, 0, excess)
	}
}

// Find returns the messages to a recipient, all if it is empty, newest first.
// A number may be given without its prefix and with blanks.
func (b *Box) Find(recipient string) []Message {
	b.mu.Lock()
	found := slices.Clone(b.messages)
	b.mu.Unlock()
	if wanted := plain(recipient); wanted != "" {
		found = slices.DeleteFunc(found, func(m Message) bool { return !strings.HasSuffix(plain(m.To), wanted) })
	}
	slices.Reverse(found)
	return found
}

func plain(recipient string) string {
	return strings.ToLower(strings.NewReplacer(" ", "", "-", "").Replace(recipient))
}
