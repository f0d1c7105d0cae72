package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// ErrNotAccepted means that the operator's gateway did not take the message.
var ErrNotAccepted = errors.New("the SMS gateway did not accept the message")

// Message is an SMS.
type Message struct {
	ID   string `json:"id"` // the gateway may use it to drop a duplicate
	To   string `json:"to"` // E.164
	Text string `json:"text"`
}

// Gateway hands SMS to an operator over HTTP: POST of the message as JSON with
// a bearer token, answered by 202.
type Gateway struct {
	URL   string
	Token []byte
	// Timeout bounds one call, so that a citizen soon learns that the operator
	// does not answer.
	Timeout time.Duration
	Client  *http.Client
}

// Send hands one message over.
func (g *Gateway) Send(ctx context.Context, m Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding an SMS: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, g.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("calling the SMS gateway: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+string(g.Token))
	// A redirect would take the token and a citizen's code to an address that
	// nobody has configured; it counts as a refusal.
	client := *g.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotAccepted, err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing was written to it
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)); err != nil {
		return fmt.Errorf("%w: %w", ErrNotAccepted, err)
	}
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("%w: status %d", ErrNotAccepted, resp.StatusCode)
	}
	return nil
}
