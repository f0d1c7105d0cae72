// Package registers asks a register of accounts and addresses, as a tax agency
// keeps one, who somebody is that wants an invitation letter: whether a DNI or
// NIE, its validity date and an IBAN belong together, and where that person is
// written to.
//
// The register is asked over HTTP:
//
//	POST {url}/holder
//	Authorization: Bearer …
//	{"identifier": "12345678Z", "iban": "ES91…", "document_until": "2030-12-31"}
//
// and answers 200 with {"match": false}, or with
//
//	{"match": true, "given_name": "…", "surnames": "…",
//	 "address": {"lines": ["Calle Mayor 1, 2.º A"], "postal_code": "33201", "town": "Gijón", "province": "Asturias"}}
//
// Any other answer is a register that does not answer. What does not belong
// together is answered as quickly as what does: the register has to see to it.
package registers

import (
	"bytes"
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/citizen"
)

// ErrAnswer means that the register did not answer as it should.
var ErrAnswer = errors.New("the register of accounts and addresses did not answer as it should")

// Client asks a register. It fulfils citizen.Holders.
type Client struct {
	URL   string
	Token []byte
	// Timeout bounds one question: a citizen waits for it.
	Timeout time.Duration
	HTTP    *http.Client
}

var _ citizen.Holders = (*Client)(nil)

type question struct {
	Identifier    string `json:"identifier"`
	IBAN          string `json:"iban"`
	DocumentUntil string `json:"document_until"`
}

// Answer is what a register says.
type Answer struct {
	Match     bool            `json:"match"`
	GivenName string          `json:"given_name"`
	Surnames  string          `json:"surnames"`
	Address   citizen.Address `json:"address"`
}

// answerLimit is more than any answer has.
const answerLimit = 16 << 10

// Holder implements citizen.Holders.
func (c *Client) Holder(ctx context.Context, q citizen.HolderQuestion) (*citizen.Recipient, error) {
	until := q.DocumentUntil.Format(time.DateOnly)
	answer, err := c.ask(ctx, question{Identifier: q.Identifier.String(), IBAN: q.IBAN.String(), DocumentUntil: until})
	if err != nil || !answer.Match {
		return nil, err
	}
	name, err := citizen.ParseName(answer.GivenName, answer.Surnames)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	if !answer.Address.Valid() {
		return nil, fmt.Errorf("%w: an address that no envelope shows", ErrAnswer)
	}
	return &citizen.Recipient{GivenName: name.Given(), Surnames: name.Surnames(), DocumentUntil: until, Address: answer.Address}, nil
}

func (c *Client) ask(ctx context.Context, q question) (Answer, error) {
	var answer Answer
	body, err := json.Marshal(q)
	if err != nil {
		return answer, fmt.Errorf("writing a question to the register: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(c.URL, "/")+"/holder", bytes.NewReader(body))
	if err != nil {
		return answer, fmt.Errorf("asking the register: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+string(c.Token))
	// A redirect would take the token and somebody's account to an address that
	// nobody has configured.
	client := *c.HTTP
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return answer, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing was written to it
	if resp.StatusCode != http.StatusOK {
		return answer, fmt.Errorf("%w: status %d", ErrAnswer, resp.StatusCode)
	}
	if err := json.UnmarshalRead(io.LimitReader(resp.Body, answerLimit), &answer); err != nil {
		return answer, fmt.Errorf("%w: it is no JSON of the contract", ErrAnswer)
	}
	return answer, nil
}
