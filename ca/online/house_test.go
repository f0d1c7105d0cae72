package online_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/lint"
	"github.com/rubrica-firma/rubrica/ca/online"
	"github.com/rubrica-firma/rubrica/hsm"
	"github.com/rubrica-firma/rubrica/internal/catest"
	"github.com/rubrica-firma/rubrica/internal/hsmtest"
	"github.com/rubrica-firma/rubrica/internal/pgtest"
	"github.com/rubrica-firma/rubrica/store"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

const day = 24 * time.Hour

// clock is set by the test.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time {
	return time.Now().UTC().Add(time.Duration(c.ahead.Load()))
}

func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// house is a database, a token and the hierarchy in them.
type house struct {
	*testing.T

	url   pgtest.Database
	token *hsm.Token
	db    *store.DB
	clock *clock
	root  *x509.Certificate
}

func emptyHouse(t *testing.T) *house {
	t.Helper()
	h := &house{T: t, url: pgtest.New(t, store.Migrate), token: hsmtest.New(t), clock: &clock{}}
	h.db = h.open()
	return h
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := emptyHouse(t)
	h.root = catest.Found(t, h.db, h.token, h.clock.Now).Root
	h.person()
	return h
}

func (h *house) open() *store.DB {
	h.Helper()
	db, err := store.Open(h.Context(), h.url.Signer)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(db.Close)
	db.Now = h.clock.Now
	return db
}

// process is an authority at work, and what a test does to it.
type process struct {
	*store.DB
	*online.CA

	h         *house
	turns     atomic.Int64
	distrust  atomic.Bool
	replacing func() // before a responder's new certificate is stored
	journal   journal
}

// Hierarchy implements online.Store: it is what each turn begins with.
func (p *process) Hierarchy(ctx context.Context) (ca.Hierarchy, error) {
	p.turns.Add(1)
	return p.DB.Hierarchy(ctx)
}

// ReplaceMember implements online.Store.
func (p *process) ReplaceMember(ctx context.Context, name string, was, der []byte, entries ...audit.Entry) error {
	if p.replacing != nil {
		p.replacing()
	}
	return p.DB.ReplaceMember(ctx, name, was, der, entries...)
}

var errDistrust = errors.New("the clock goes wrong")

func (h *house) process() *process {
	h.Helper()
	p, err := h.begin()
	if err != nil {
		h.Fatalf("opening the authority: %v", err)
	}
	return p
}

func (h *house) begin() (*process, error) {
	h.Helper()
	p := &process{DB: h.open(), h: h}
	var err error
	p.CA, err = online.New(h.Context(), online.Config{
		Store: p, Statuses: p.Statuses(), Keys: h.token, Base: catest.Base, Lint: lint.Certificate,
		StampPolicy: asn1.ObjectIdentifier{0, 4, 0, 2023, 1, 1},
		Trusted: func(context.Context) error {
			if p.distrust.Load() {
				return errDistrust
			}
			return nil
		},
		Now: h.clock.Now, Logger: slog.New(slog.NewTextHandler(&p.journal, nil)),
	})
	return p, err
}

// keep keeps things fresh until the test ends, or stop is called.
func (p *process) keep() (stop func()) {
	p.h.Helper()
	ctx, cancel := context.WithCancel(p.h.Context())
	var ended sync.WaitGroup
	ended.Go(func() { p.Keep(ctx) })
	stop = func() { cancel(); ended.Wait() }
	p.h.Cleanup(stop)
	return stop
}

// twoTurns waits until two turns have begun and ended.
func (p *process) twoTurns() {
	p.h.Helper()
	until := p.turns.Load() + 3
	p.h.eventually("two turns", func() bool { return p.turns.Load() >= until })
}

// eventually waits for what takes as long as the machine is slow.
func (h *house) eventually(what string, happened func() bool) {
	h.Helper()
	for end := time.Now().Add(time.Minute); !happened(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			h.Fatalf("waiting in vain for %s", what)
		}
	}
}

type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// quiet checks that a process had nothing to complain of.
func (p *process) quiet() {
	p.h.Helper()
	if text := p.journal.text(); text != "" {
		p.h.Errorf("logged: %s", text)
	}
}

// tx runs statements as the database's owner, in one transaction.
func (h *house) tx(run func(tx pgx.Tx) error) {
	h.Helper()
	conn, err := pgx.Connect(h.Context(), h.url.Owner)
	if err != nil {
		h.Fatal(err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // the test is over by then
	if err := pgx.BeginFunc(h.Context(), conn, run); err != nil {
		h.Fatal(err)
	}
}

func (h *house) sql(statement string, args ...any) {
	h.Helper()
	h.tx(func(tx pgx.Tx) error {
		_, err := tx.Exec(h.Context(), statement, args...)
		return err
	})
}

// value reads one value as the database's owner.
func value[T any](h *house, query string, args ...any) (v T) {
	h.Helper()
	h.tx(func(tx pgx.Tx) error { return tx.QueryRow(h.Context(), query, args...).Scan(&v) })
	return v
}

// person adds the citizen whose certificates all are.
func (h *house) person() {
	h.Helper()
	h.sql(`INSERT INTO citizens (id, identifier, given_name, surnames, phone, email, locale, status, document_until, created_at)
		VALUES ('c', '12345678Z', 'Ana', 'Núñez', '+34600000001', 'a@b', 'es', 'active', '2040-01-01', now())`)
	h.sql(`INSERT INTO credentials (id, citizen_id, generation, state, salt, argon_memory_kib, argon_passes, argon_lanes, box, created_at, password_at)
		VALUES ('k', 'c', 1, 'empty', '\x00', 1, 1, 1, '\x00', now(), now())`)
}

func (h *house) request() ca.Request {
	h.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		h.Fatal(err)
	}
	now := h.clock.Now()
	return ca.Request{
		Identifier: "12345678Z", GivenName: "Ana", Surnames: "Núñez Pérez",
		PublicKey: key.Public(), NotBefore: now, NotAfter: now.AddDate(4, 0, 0),
	}
}

// issued is a certificate and where it belongs.
type issued struct {
	*x509.Certificate

	place ca.Place
}

func (i issued) serial() string { return fmt.Sprintf("%x", i.SerialNumber.Bytes()) }

// issue certifies and records a citizen's key, as the signer does.
func (p *process) issue() issued {
	p.h.Helper()
	prepared, place, err := p.Prepare(p.h.Context(), p.h.request())
	if err != nil {
		p.h.Fatalf("preparing: %v", err)
	}
	der, err := p.Issue(prepared)
	if err != nil {
		p.h.Fatalf("issuing: %v", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		p.h.Fatal(err)
	}
	i := issued{c, place}
	p.h.change(i, `INSERT INTO certificates (serial, issuer, shard, credential_id, state, der, not_before, not_after, lease_until)
		VALUES ($1, $2, $3, 'k', 'issued', $4, $5, $6, $5)`, place.Issuer, place.Shard, der, c.NotBefore, c.NotAfter)
	p.h.sql(`UPDATE crl_shards SET issued = issued + 1, ends_at = greatest(ends_at, $2) WHERE name = $1`, place.Shard, c.NotAfter)
	return i
}

// change does something to a certificate and tells of it in the feed, in the
// order that the store does.
func (h *house) change(i issued, statement string, args ...any) {
	h.Helper()
	h.tx(func(tx pgx.Tx) error {
		if _, err := tx.Exec(h.Context(), statement, append([]any{i.serial()}, args...)...); err != nil {
			return err
		}
		if _, err := tx.Exec(h.Context(), `SELECT FROM log_head FOR UPDATE`); err != nil {
			return err
		}
		_, err := tx.Exec(h.Context(), `INSERT INTO certificate_changes (serial, issuer, shard, at) VALUES ($1, $2, $3, $4)`,
			i.serial(), i.place.Issuer, i.place.Shard, h.clock.Now())
		return err
	})
}

func (h *house) revoke(i issued, reason ca.Reason) {
	h.Helper()
	h.change(i, `UPDATE certificates SET revoked_at = $2, reason = $3, status_version = status_version + 1 WHERE serial = $1`, h.clock.Now(), int(reason))
}

func (h *house) release(i issued) {
	h.Helper()
	h.change(i, `UPDATE certificates SET revoked_at = NULL, reason = NULL, status_version = status_version + 1 WHERE serial = $1`)
}

// member is the certificate of an authority or a service.
func (h *house) member(name string) *x509.Certificate {
	h.Helper()
	hierarchy, err := h.db.Hierarchy(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	m, ok := hierarchy.Named(name)
	if !ok {
		h.Fatalf("there is no %s", name)
	}
	c, err := m.Certificate()
	if err != nil {
		h.Fatal(err)
	}
	return c
}

// list is a shard's newest list, as it is served.
func (h *house) list(shard string) *x509.RevocationList {
	h.Helper()
	der := value[[]byte](h, `SELECT coalesce((SELECT der FROM crls WHERE shard = $1 ORDER BY number DESC LIMIT 1), '\x')`, shard)
	if len(der) == 0 {
		return nil
	}
	return parseList(h.T, der)
}

func parseList(t *testing.T, der []byte) *x509.RevocationList {
	t.Helper()
	l, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// says writes what a list says: its number and the serials with their reasons.
func (h *house) says(shard string) string {
	h.Helper()
	l := h.list(shard)
	if l == nil {
		return "nothing"
	}
	var entries []string
	for _, e := range l.RevokedCertificateEntries {
		entries = append(entries, fmt.Sprintf("%x/%d", e.SerialNumber.Bytes(), e.ReasonCode))
	}
	return fmt.Sprintf("%v: %s", l.Number, strings.Join(entries, " "))
}
