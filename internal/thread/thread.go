package thread

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/api/rest/client"
	"github.com/rubrica-firma/rubrica/internal/dev/inbox"
)

// Account is a client of the service, as its credentials file has it.
type Account struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
	// PrivateKey signs the acts of an office.
	PrivateKey string `json:"private_key"`
}

// World is where the thread runs.
type World struct {
	Service   string // address of the service
	Inbox     string // address of the phones
	ReturnURL string // registered for Application
	Office    *client.Office
	Sede      *client.ClientWithResponses
	// Codes is another way to the code that a citizen was sent after a moment; nil:
	// from the phones.
	Codes func(ctx context.Context, c *Citizen, since time.Time) (string, error)
}

// NewWorld connects an office and an application.
func NewWorld(service, inboxURL, returnURL string, office, application Account) (*World, error) {
	w := &World{Service: service, Inbox: inboxURL, ReturnURL: returnURL}
	var err error
	if w.Office, err = client.ConnectOffice(client.Account{BaseURL: service, ID: office.ID, Secret: office.Secret}, office.PrivateKey); err != nil {
		return nil, fmt.Errorf("connecting the office: %w", err)
	}
	if w.Sede, err = client.Connect(client.Account{BaseURL: service, ID: application.ID, Secret: application.Secret, Scope: "signature"}); err != nil {
		return nil, fmt.Errorf("connecting the application: %w", err)
	}
	return w, nil
}

// Citizen is a person with a phone, a password and a browser.
type Citizen struct {
	Identifier string
	GivenName  string
	Surnames   string
	Phone      string
	Email      string
	Password   string
	// Activation is the code on the office's receipt.
	Activation string

	world *World
}

// NewCitizen invents a person whose DNI and mobile nobody else is likely to have.
func (w *World) NewCitizen() (*Citizen, error) {
	number, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
	if err != nil {
		return nil, fmt.Errorf("drawing a DNI: %w", err)
	}
	mobile, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
	if err != nil {
		return nil, fmt.Errorf("drawing a number: %w", err)
	}
	letter := "TRWAGMYFPDXBNJZSQVHLCKE"[new(big.Int).Mod(number, big.NewInt(23)).Int64()]
	return &Citizen{
		Identifier: fmt.Sprintf("%08d%c", number, letter),
		GivenName:  "Ana", Surnames: "Núñez Pérez",
		Phone: fmt.Sprintf("+346%08d", mobile), Email: fmt.Sprintf("ana.%08d@example.es", number),
		Password: "Olmo-" + rand.Text()[:10] + "-7a", world: w,
	}, nil
}

// officer is who sits at the office's desk.
const officer = "Rosa Gil"

// Register has the office register the citizen.
func (c *Citizen) Register(ctx context.Context) error {
	receipt, err := c.world.Office.Perform(ctx, client.OfficeAct{Act: client.ActRegister, Officer: officer, Citizen: &client.NewCitizen{
		Identifier: c.Identifier, GivenName: c.GivenName, Surnames: c.Surnames, Phone: c.Phone, Email: c.Email,
		DocumentUntil: time.Now().AddDate(5, 0, 0).Format(time.DateOnly),
	}})
	if err != nil {
		return fmt.Errorf("registering: %w", err)
	}
	c.Activation = receipt.ActivationCode
	return nil
}

// Renew has the office give the citizen another activation code.
func (c *Citizen) Renew(ctx context.Context) error {
	receipt, err := c.world.Office.Perform(ctx, client.OfficeAct{Act: client.ActRenewActivation, Officer: officer, Identifier: &c.Identifier})
	if err != nil {
		return fmt.Errorf("renewing the activation code: %w", err)
	}
	c.Activation = receipt.ActivationCode
	return nil
}

// Undergo has the office do to the citizen what leaves no receipt.
func (c *Citizen) Undergo(ctx context.Context, act client.ActKind, reason string) error {
	_, err := c.world.Office.Perform(ctx, client.OfficeAct{Act: act, Officer: officer, Identifier: &c.Identifier, Reason: &reason})
	if err != nil {
		return fmt.Errorf("having the office %s: %w", act, err)
	}
	return nil
}

// Activate takes the receipt to a password, on the pages.
func (c *Citizen) Activate(ctx context.Context) error {
	b, err := NewBrowser()
	if err != nil {
		return err
	}
	began := time.Now()
	steps := []func() error{
		func() error { return b.Open(ctx, c.world.Service+"/activar") },
		func() error {
			return b.Submit(ctx, map[string]string{"identifier": c.Identifier, "email": c.Email, "activation_code": c.Activation})
		},
		func() error { return c.answer(ctx, b, began) },
		func() error {
			return b.Submit(ctx, map[string]string{"password_new": c.Password, "password_again": c.Password})
		},
		func() error { return b.arrived("/activar/hecho") },
	}
	return run("activating", steps)
}

func run(what string, steps []func() error) error {
	for i, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("%s, step %d: %w", what, i+1, err)
		}
	}
	return nil
}

func (b *Browser) arrived(suffix string) error {
	if b.status != http.StatusOK || !strings.HasSuffix(b.url.Path, suffix) {
		return fmt.Errorf("at %s (status %d), want …%s: %s", b.url.Path, b.status, suffix, b.Text())
	}
	return nil
}

// answer types the code that came to the phone.
func (c *Citizen) answer(ctx context.Context, b *Browser, since time.Time) error {
	code, err := c.Code(ctx, since)
	if err != nil {
		return err
	}
	return b.Submit(ctx, map[string]string{"code": code})
}

// Code waits for a code sent after a moment.
func (c *Citizen) Code(ctx context.Context, since time.Time) (string, error) {
	if c.world.Codes != nil {
		return c.world.Codes(ctx, c, since)
	}
	for range 100 {
		messages, err := c.messages(ctx)
		if err != nil {
			return "", err
		}
		for _, m := range messages { // a notice may have come after it
			if m.At.After(since) && m.Code() != "" {
				return m.Code(), nil
			}
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return "", errors.New("no code came to the phone")
}

// messages are the phone's, newest first.
func (c *Citizen) messages(ctx context.Context) ([]inbox.Message, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.world.Inbox+"/inbox.json?phone="+url.QueryEscape(c.Phone), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("reading the phone: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("reading the phone: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end below
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the phone: %w", err)
	}
	var messages []inbox.Message
	if err := json.Unmarshal(body, &messages); err != nil {
		return nil, fmt.Errorf("reading the phone: %w", err)
	}
	return messages, nil
}

// Ask has the application ask for a signature of the citizen.
func (w *World) Ask(ctx context.Context, c *Citizen, title string, documents ...client.NewDocument) (*client.SignatureRequest, error) {
	answer, err := w.Sede.CreateSignatureRequestWithResponse(ctx,
		&client.CreateSignatureRequestParams{IdempotencyKey: rand.Text()},
		client.NewSignatureRequest{Signer: client.Signer{Identifier: c.Identifier}, Title: title, ReturnURL: w.ReturnURL, Documents: documents})
	if err := client.Check(answer, err); err != nil {
		return nil, fmt.Errorf("asking for a signature: %w", err)
	}
	return answer.JSON201, nil
}

// Walk says how a ceremony is gone through.
type Walk struct {
	// Look fetches the pictures of the pages, as a browser with a screen does.
	Look bool
	// Weigh is told how many octets a browser loads for the page on which the
	// signature is confirmed, beside the document; nil if nobody asks.
	Weigh *int
}

func (w Walk) weigh(ctx context.Context, b *Browser) (err error) {
	if w.Weigh != nil {
		*w.Weigh, err = b.Weight(ctx)
	}
	return err
}

// Sign takes the citizen through the ceremony, with a certificate first where
// there is none.
func (c *Citizen) Sign(ctx context.Context, signingURL string, walk Walk) error {
	b, err := c.enter(ctx, signingURL)
	if err != nil {
		return err
	}
	began := time.Now()
	return run("signing", []func() error{
		func() error { return b.arrived("/revisar") },
		func() error {
			if !walk.Look {
				return nil
			}
			return b.Images(ctx)
		},
		func() error { return walk.weigh(ctx, b) },
		func() error { return b.Press(ctx, "/codigo") },
		func() error { return c.answer(ctx, b, began) },
		func() error { return b.arrived("/hecho") },
	})
}

// Certify is the beginning of Sign: it ends before the document, with a
// certificate.
func (c *Citizen) Certify(ctx context.Context, signingURL string) error {
	b, err := c.enter(ctx, signingURL)
	if err != nil {
		return err
	}
	return b.arrived("/revisar")
}

// enter goes to the page with the document.
func (c *Citizen) enter(ctx context.Context, signingURL string) (*Browser, error) {
	b, err := NewBrowser()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	err = run("identifying", []func() error{
		func() error { return b.Open(ctx, signingURL) },
		func() error {
			return b.Submit(ctx, map[string]string{"identifier": c.Identifier, "password": c.Password})
		},
	})
	if err != nil || !strings.HasSuffix(b.url.Path, "/certificado") {
		return b, err
	}
	return b, run("getting a certificate", []func() error{
		func() error { return b.Press(ctx, "/certificado") },
		func() error { return c.answer(ctx, b, began) },
	})
}

// Receipt fetches what proves a signature, for programs and for people.
func (w *World) Receipt(ctx context.Context, requestID string) (receipt, evidence []byte, err error) {
	proof, err := w.Sede.GetReceiptWithResponse(ctx, requestID)
	if err := client.Check(proof, err); err != nil {
		return nil, nil, fmt.Errorf("fetching the receipt: %w", err)
	}
	sheet, err := w.Sede.GetEvidenceWithResponse(ctx, requestID)
	if err := client.Check(sheet, err); err != nil {
		return nil, nil, fmt.Errorf("fetching the evidence: %w", err)
	}
	return proof.Body, sheet.Body, nil
}

// Result fetches a signed document.
func (w *World) Result(ctx context.Context, requestID string, ordinal int) ([]byte, error) {
	answer, err := w.Sede.GetSignedDocumentWithResponse(ctx, requestID, ordinal)
	if err := client.Check(answer, err); err != nil {
		return nil, fmt.Errorf("fetching document %d: %w", ordinal, err)
	}
	return answer.Body, nil
}
