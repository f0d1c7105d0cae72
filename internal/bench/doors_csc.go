package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/csc"
	"github.com/rubrica-firma/rubrica/api/requests"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// CSC measures the door of the Cloud Signature Consortium.
type CSC struct{ *Keys }

// Measure implements House.
func (c *CSC) Measure(ctx context.Context) ([]Figure, error) {
	return c.measure(ctx, []part{{[]string{"doors/csc"}, c.served(c.door)}})
}

// consents is an authorisation server with a token for each consent.
type consents struct {
	client signer.Client
	given  sync.Map // of csc.Consent, by token
}

func (c *consents) Present(*http.Request, string, string) (api.Grant, error) {
	return api.Grant{Client: c.client, Scopes: []string{api.ScopeService}}, nil
}

func (c *consents) Consent(_ context.Context, token string) (csc.Consent, error) {
	given, _ := c.given.Load(token)
	consent, ok := given.(csc.Consent)
	if !ok {
		return consent, errors.New("no consent has this token")
	}
	return consent, nil
}

func (*consents) Revoke(context.Context, string, string) error { return nil }

func (*consents) Spend(context.Context, string) error { return nil }

func (*consents) Carry(context.Context, csc.Consent) (string, error) {
	return "", errors.New("nothing is carried here")
}

// doorway is a door before a signer's process, and one who calls it.
type doorway struct {
	*town

	process  signerProcess
	core     *requests.Service
	consents *consents
	server   *httptest.Server
	resident resident
	key      signer.Credential
}

// door holds signHash, from the call to its answer, against as many bare C_Sign.
// What comes before it, the citizen's consent, is left out.
func (c *CSC) door(ctx context.Context, s *server) ([]Figure, error) {
	t, err := s.found(ctx, "doors", cheap())
	if err != nil {
		return nil, err
	}
	defer t.abandon()
	r, err := t.enrol(ctx)
	if err != nil {
		return nil, fmt.Errorf("enrolling: %w", err)
	}
	process, err := s.signer(ctx, t.name)
	if err != nil {
		return nil, err
	}
	defer process.stop(ctx)
	d := &doorway{town: t, process: process, resident: r}
	if err := d.build(ctx); err != nil {
		return nil, err
	}
	defer d.server.Close()
	bare, err := c.bareToken(ctx)
	if err != nil {
		return nil, fmt.Errorf("preparing a bare loop: %w", err)
	}
	defer bare.end()
	figures, err := c.against(ctx, d, bare)
	if err != nil {
		return nil, err
	}
	busy, err := c.busy(ctx, d, bare)
	if err != nil {
		return nil, err
	}
	figures = append(figures, busy)
	for name, path := range map[string]string{"doors/csc_info_per_second": "v2/info", "doors/csc_list_per_second": "v2/credentials/list"} {
		rate, err := d.rate(ctx, path)
		if err != nil {
			return nil, err
		}
		figures = append(figures, info(name, rate, "1/s"))
	}
	return figures, nil
}

// warm is how often something is done before it is measured: PostgreSQL plans a
// statement five times for its arguments before it keeps a plan for all.
const warm = 6

// against signs one hash and a hundred, between two bare hundreds each time. Its
// figures: against bare C_Sign alone, and for one hash against what no order of
// steps that keeps the promises is faster than.
func (c *CSC) against(ctx context.Context, d *doorway, bare bareToken) ([]Figure, error) {
	var figures []Figure
	for _, size := range []struct {
		hashes int
		name   string
		limit  float64
	}{{1, "doors/csc_signhash1", 0.5}, {hundred, "doors/csc_signhash100", 0.9}} {
		var ours, ratio, floor, overFloor []float64
		for round := range warm + 3*c.Rounds {
			call, err := d.consent(ctx, size.hashes)
			if err != nil {
				return nil, err
			}
			took, limit, err := between(bare, call)
			if err != nil {
				return nil, err
			}
			least, err := d.least(ctx, bare)
			if err != nil {
				return nil, err
			}
			if round < warm {
				continue
			}
			limit *= float64(size.hashes)
			ours, ratio = append(ours, took), append(ratio, limit/took)
			floor, overFloor = append(floor, limit/least), append(overFloor, least/took)
		}
		figures = append(figures, info(size.name, 1000*median(ours), "ms"), above(size.name+"_over_raw", median(ratio), size.limit))
		if size.hashes == 1 {
			figures = append(figures, info(size.name+"_bound", median(floor), "ratio"), info(size.name+"_over_bound", median(overFloor), "ratio"))
		}
	}
	return figures, nil
}

// between does something between two bare hundreds: how long it took, and how
// long one bare C_Sign.
func between(bare bareToken, do func() error) (took, limit float64, err error) {
	before, err := seconds(bare.hundred)
	if err != nil {
		return 0, 0, fmt.Errorf("signing bare: %w", err)
	}
	if took, err = seconds(do); err != nil {
		return 0, 0, err
	}
	after, err := seconds(bare.hundred)
	if err != nil {
		return 0, 0, fmt.Errorf("signing bare: %w", err)
	}
	return took, (before + after) / 2 / hundred, nil
}

// busy is one hash a call from many callers at a time: as many signatures as leave
// in the time of one bare C_Sign on one session.
func (c *CSC) busy(ctx context.Context, d *doorway, bare bareToken) (Figure, error) {
	const callers, calls = 8, 4 * 8
	var ratio []float64
	for range c.Rounds {
		waiting := make([]func() error, calls)
		for i := range waiting {
			var err error
			if waiting[i], err = d.consent(ctx, 1); err != nil {
				return Figure{}, err
			}
		}
		took, limit, err := between(bare, func() error {
			var group errgroup.Group
			group.SetLimit(callers)
			for _, call := range waiting {
				group.Go(call)
			}
			return group.Wait()
		})
		if err != nil {
			return Figure{}, err
		}
		ratio = append(ratio, limit*calls/took)
	}
	return info("doors/csc_signhash1_busy_over_raw", median(ratio), "ratio"), nil
}

// least is how long it takes at least: the sealed key is unwrapped and used, and
// two commits reach the disk, one before the key is used and one before the
// signature leaves.
func (d *doorway) least(ctx context.Context, bare bareToken) (float64, error) {
	sealed, err := seconds(bare.sealed)
	if err != nil {
		return 0, fmt.Errorf("signing bare with a sealed key: %w", err)
	}
	durable, err := d.durable(ctx)
	return sealed + durable, err
}

// durable is how long two commits take that do nothing else.
func (d *doorway) durable(ctx context.Context) (float64, error) {
	conn, err := d.connect(ctx, d.name)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, `CREATE TABLE IF NOT EXISTS bench_commits (at timestamptz)`); err != nil {
		return 0, fmt.Errorf("making a table: %w", err)
	}
	return seconds(func() error {
		for range 2 {
			if _, err := conn.Exec(ctx, `INSERT INTO bench_commits VALUES (now())`); err != nil {
				return fmt.Errorf("committing: %w", err)
			}
		}
		return nil
	})
}

func (d *doorway) build(ctx context.Context) error {
	words, err := catalogue.New()
	if err != nil {
		return fmt.Errorf("loading the catalogue: %w", err)
	}
	d.core = requests.New(requests.Config{
		Store: d.public, Opener: d.module, Rules: policies.DefaultRules(), Limits: requests.DefaultLimits(), Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	_, credential, err := d.public.Person(ctx, d.resident.identifier)
	if err != nil || credential == nil {
		return fmt.Errorf("finding a credential: %w", err)
	}
	client := d.app
	client.Scopes = []string{api.ScopeService}
	d.key, d.consents = *credential, &consents{client: client}
	door := csc.New(csc.Config{
		Store: d.public, Authority: d.consents, Signatures: d.core, Module: d.process.client, TimeStamps: d.process.client,
		Name: "Rúbrica", Logo: "/logo.svg", Region: "ES", Description: "Firma en la nube", Languages: []string{"es"}, DocumentBytes: 1 << 20, Now: time.Now,
	})
	limits := api.DefaultLimits()
	limits.Calls = api.Rate{Every: time.Microsecond, Burst: 1 << 20}
	d.server = httptest.NewUnstartedServer(nil)
	site, err := api.New(api.Config{
		PublicURL: "http://" + d.server.Listener.Addr().String(), Catalogue: words, Authority: d.consents, Rooms: []func(*api.Site){door.Room},
		Limits: limits, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		return fmt.Errorf("building a site: %w", err)
	}
	d.server.Config = api.Server(site, "")
	d.server.Start()
	return nil
}

// consent takes a citizen to a consent over hashes, and returns the call that
// spends it.
func (d *doorway) consent(ctx context.Context, n int) (func() error, error) {
	var (
		hashes []requests.LabelledHash
		listed []string
	)
	for range n {
		sum := sha256.Sum256([]byte(rand.Text()))
		hashes = append(hashes, requests.LabelledHash{Label: "contrato", Value: sum[:]})
		listed = append(listed, base64.StdEncoding.EncodeToString(sum[:]))
	}
	r, err := d.core.SubmitHashes(ctx, requests.HashSubmission{
		Client: d.app, Identifier: d.resident.identifier, Title: "Contratos", Locale: "es", ReturnURL: d.app.ReturnAddresses[0],
		Key: rand.Text(), Hash: signer.SHA256, Hashes: hashes,
	})
	if err != nil {
		return nil, fmt.Errorf("asking: %w", err)
	}
	session, err := d.identify(ctx, d.module, r.ID, d.resident)
	if err != nil {
		return nil, fmt.Errorf("identifying: %w", err)
	}
	if _, err := d.core.Fix(ctx, r.ID, session.Ticket); err != nil {
		return nil, err
	}
	if _, err := d.module.SendCode(ctx, signer.CodeOrder{Ticket: session.Ticket, Purpose: signer.ForSignature}); err != nil {
		return nil, fmt.Errorf("sending a code: %w", err)
	}
	a, err := d.process.client.Authorise(ctx, signer.Answer{Ticket: session.Ticket, Code: d.phone.last(d.resident.phone)})
	if err != nil {
		return nil, fmt.Errorf("authorising: %w", err)
	}
	token := rand.Text()
	d.consents.given.Store(token, csc.Consent{ClientID: d.app.ID, RequestID: r.ID, CredentialID: d.key.ID, SAD: a.SAD, ExpiresAt: a.ExpiresAt})
	body, err := json.Marshal(map[string]any{
		"credentialID": d.key.ID, "SAD": token, "hashes": listed, "signAlgo": "1.2.840.113549.1.1.11", "hashAlgorithmOID": signer.SHA256,
	})
	if err != nil {
		return nil, fmt.Errorf("writing a call: %w", err)
	}
	return func() error { return d.post(ctx, "v2/signatures/signHash", body) }, nil
}

func (d *doorway) post(ctx context.Context, path string, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.server.URL+"/csc/"+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making a call: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer token")
	response, err := d.server.Client().Do(r)
	if err != nil {
		return fmt.Errorf("calling: %w", err)
	}
	answer, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %d %s", path, response.StatusCode, answer)
	}
	return nil
}

// rate is how many calls a second are answered, to callers on this machine.
func (d *doorway) rate(ctx context.Context, path string) (float64, error) {
	const callers, calls = 8, 250
	body, err := json.Marshal(map[string]string{"userID": d.resident.identifier})
	if err != nil {
		return 0, fmt.Errorf("writing a call: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	took, err := seconds(func() error {
		for range callers {
			group.Go(func() error {
				for range calls {
					if err := d.post(ctx, path, body); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return group.Wait()
	})
	return callers * calls / took, err
}
