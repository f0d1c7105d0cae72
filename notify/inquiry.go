package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/signer"
)

// Undelivered lists messages of whose end nothing is known. *store.DB fulfils it.
type Undelivered interface {
	// Undelivered are the operator's names of the newest messages that it has
	// accepted since, up to limit.
	Undelivered(ctx context.Context, operator string, since time.Time, limit int) ([]string, error)
}

// MessageID stands in Inquiry.URL for the operator's name of a message.
const MessageID = "{id}"

// Inquiry asks an HTTP operator what became of what it has accepted: GET with a
// bearer token, answered by 200 and {"state": "accepted", "delivered" or
// "failed"}. Asking needs no door that an operator, or somebody in its name,
// could come in by; and asking twice is answered alike.
type Inquiry struct {
	Operator string
	URL      string // with MessageID
	Token    []byte
	Timeout  time.Duration // of one question
	Client   *http.Client
	Messages Undelivered
	Arrived  func(ctx context.Context, operator, id string, delivered bool)
	Now      func() time.Time
	Logger   *slog.Logger
}

// Bounds of the questions: whoever waits for a code waits minutes, and so many
// messages may be on their way to people who wait.
const (
	inquiryEvery = 3 * time.Second
	inquirySince = 10 * time.Minute
	inquiryMost  = 50
	inquiryBytes = 4 << 10
)

// Run asks until ctx ends.
func (q *Inquiry) Run(ctx context.Context) {
	ticks := time.NewTicker(inquiryEvery)
	defer ticks.Stop()
	for {
		if err := q.Ask(ctx); err != nil && ctx.Err() == nil {
			q.Logger.WarnContext(ctx, "sms_inquiry_failed", "operator", q.Operator, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

// Ask asks once about each message that may still matter. An operator that does
// not answer about one is not asked about the rest.
func (q *Inquiry) Ask(ctx context.Context) error {
	ids, err := q.Messages.Undelivered(ctx, q.Operator, q.Now().Add(-inquirySince), inquiryMost)
	if err != nil {
		return fmt.Errorf("listing messages: %w", err)
	}
	for _, id := range ids {
		state, err := q.ask(ctx, id)
		if err != nil {
			return err
		}
		if state != signer.DeliveryAccepted {
			q.Arrived(ctx, q.Operator, id, state == signer.DeliveryDone)
		}
	}
	return nil
}

func (q *Inquiry) ask(ctx context.Context, id string) (signer.DeliveryState, error) {
	ctx, cancel := context.WithTimeout(ctx, q.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.ReplaceAll(q.URL, MessageID, url.PathEscape(id)), nil)
	if err != nil {
		return "", fmt.Errorf("asking about a message: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+string(q.Token))
	client := *q.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // see Gateway.Send
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("asking about a message: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing was written to it
	if resp.StatusCode == http.StatusNotFound {
		return signer.DeliveryAccepted, nil // the operator has not heard of it yet, or no more
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("asking about a message: status %d", resp.StatusCode)
	}
	var told struct {
		State signer.DeliveryState `json:"state"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, inquiryBytes)).Decode(&told); err != nil {
		return "", fmt.Errorf("reading what became of a message: %w", err)
	}
	switch told.State {
	case signer.DeliveryAccepted, signer.DeliveryDone, signer.DeliveryFailed:
		return told.State, nil
	default:
		return "", errors.New("the operator knows a state of messages that nobody here knows")
	}
}
