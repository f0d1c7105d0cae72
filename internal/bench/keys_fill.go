package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/signer"
)

// waves is in how many parts a town fills.
const waves = 10

// populate makes a town of a size. Those of its residents who are going to sign
// come among the others, not before or after them, so that their rows lie where
// anybody's lie.
func (s *server) populate(ctx context.Context, size, signers int) (*inhabited, error) {
	t, err := s.found(ctx, fmt.Sprintf("town_%d", size), cheap())
	if err != nil {
		return nil, err
	}
	out := &inhabited{town: t, size: size}
	if out.residents, err = several(ctx, signers%waves+waves, t.enrol); err != nil {
		return nil, err
	}
	f, err := newFilling(ctx, t)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.conn.Close(ctx) }()
	signers -= signers % waves
	others := max(0, size-signers-len(out.residents))
	for wave := range waves {
		more, err := several(ctx, signers/waves, t.enrol)
		if err != nil {
			return nil, err
		}
		out.residents = append(out.residents, more...)
		if err := f.add(ctx, others*(wave+1)/waves-others*wave/waves); err != nil {
			return nil, err
		}
	}
	mathrand.Shuffle(len(out.residents), func(i, j int) { //nolint:gosec // an order, no secret
		out.residents[i], out.residents[j] = out.residents[j], out.residents[i]
	})
	return out, f.finish(ctx)
}

// filling puts citizens into a town by the thousand: as if each had registered,
// got a certificate and signed once, a while ago. What only a key could make is
// random bytes, as many as a real citizen's; the log's tree is whole. Contents of
// documents are not there any more.
type filling struct {
	*town

	conn  *pgx.Conn
	noise *mathrand.ChaCha8
	then  time.Time
	// In bytes.
	publicKey, box, certificate, answer int
	place                               ca.Place // of a certificate
}

func newFilling(ctx context.Context, t *town) (*filling, error) {
	f := &filling{town: t, then: time.Now().Add(-24 * time.Hour)}
	var seed [32]byte
	rand.Read(seed[:])
	f.noise = mathrand.NewChaCha8(seed)
	var err error
	if f.conn, err = t.connect(ctx, t.name); err != nil {
		return nil, err
	}
	// Foreign keys are not checked row by row: all that a row refers to is
	// written beside it.
	if _, err := f.conn.Exec(ctx, `SET session_replication_role = replica; SET synchronous_commit = off`); err != nil {
		return nil, fmt.Errorf("preparing to fill: %w", err)
	}
	err = f.conn.QueryRow(ctx, `
		SELECT length(k.public_key), length(k.box), length(c.der), c.issuer, c.shard
		FROM credentials k
		JOIN certificates c ON c.credential_id = k.id
		LIMIT 1`).Scan(&f.publicKey, &f.box, &f.certificate, &f.place.Issuer, &f.place.Shard)
	if err != nil {
		return nil, fmt.Errorf("measuring a citizen: %w", err)
	}
	return f, nil
}

// other is a citizen who is not going to sign.
type other struct {
	resident

	id, credential, serial, request, challenge string
	given, surnames                            string
	ticket, seal, digest                       []byte
}

func (f *filling) random(n int) []byte {
	b := make([]byte, n)
	_, _ = f.noise.Read(b) // never fails
	return b
}

// Names of people, the most frequent first.
const (
	givenNames = "María Antonio Carmen José Manuel Ana Francisco Laura David Cristina Juan Marta Javier Lucía Daniel Isabel " +
		"Carlos Sara Jesús Rosa Alejandro Elena Miguel Pilar Rafael Raquel Pedro Paula Ángel Begoña Iker Montserrat Uxía"
	familyNames = "García Rodríguez González Fernández López Martínez Sánchez Pérez Gómez Martín Jiménez Hernández Ruiz Díaz Moreno " +
		"Muñoz Álvarez Romero Gutiérrez Alonso Navarro Torres Domínguez Ramos Vázquez Ramírez Gil Serrano Morales Molina Blanco " +
		"Suárez Castro Ortega Delgado Ortiz Marín Rubio Núñez Medina Sanz Castillo Iglesias Cortés Garrido Santos Guerrero Lozano " +
		"Cano Cruz Méndez Flores Prieto Herrera Peña León Márquez Cabrera Gallego Calvo Vidal Campos Reyes Vega Fuentes Carrasco " +
		"Etxeberria Puigdomènech Castiñeiras"
)

// name draws one of some names, the first the most often.
func (f *filling) name(names string) string {
	all := strings.Fields(names)
	u := float64(f.noise.Uint64()>>11) / (1 << 53)
	return all[int(u*u*float64(len(all)))]
}

// add puts n citizens in.
func (f *filling) add(ctx context.Context, n int) error {
	const step = 5000
	for ; n > 0; n -= step {
		others := make([]other, min(n, step))
		for i := range others {
			others[i] = other{
				resident: f.number(), id: rand.Text(), credential: rand.Text(), serial: hex.EncodeToString(f.random(16)),
				request: rand.Text(), challenge: rand.Text(), ticket: f.random(32), seal: f.random(32), digest: f.random(32),
				given: f.name(givenNames), surnames: f.name(familyNames) + " " + f.name(familyNames),
			}
		}
		err := pgx.BeginFunc(ctx, f.conn, func(tx pgx.Tx) error { return f.insert(ctx, tx, others) })
		if err != nil {
			return fmt.Errorf("adding citizens: %w", err)
		}
	}
	return nil
}

// table is how a citizen's row looks in it.
type table struct {
	name    string
	columns []string
	row     func(other) []any
}

func (f *filling) insert(ctx context.Context, tx pgx.Tx, others []other) error {
	for _, t := range append(f.citizensTables(), f.requestsTables()...) {
		rows := pgx.CopyFromSlice(len(others), func(i int) ([]any, error) { return t.row(others[i]), nil })
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, rows); err != nil {
			return fmt.Errorf("filling %s: %w", t.name, err)
		}
	}
	var entries []audit.Entry
	for _, o := range others {
		entries = append(entries, f.entries(o)...)
	}
	_, err := audit.Append(ctx, bulk{tx}, entries...)
	return err
}

func (f *filling) citizensTables() []table {
	expiry := f.then.AddDate(2, 0, 0)
	return []table{
		{
			"citizens",
			[]string{"id", "identifier", "given_name", "surnames", "phone", "email", "locale", "status", "document_until", "created_at", "version", "seal_epoch", "seal"},
			func(o other) []any {
				return []any{o.id, o.identifier, o.given, o.surnames, o.phone, "ana@example.es", "es", "active", expiry, f.then, 3, 1, o.seal}
			},
		},
		{
			"registrations",
			[]string{"citizen_id", "mode", "level", "office", "officer", "assured_at"},
			func(o other) []any { return []any{o.id, "office", "advanced", "Oficina 1", "office", f.then} },
		},
		{"familiar_sources", []string{"subject", "source", "last_at"}, func(o other) []any { return []any{o.identifier, signer.Source(home), f.then} }},
		{
			"credentials",
			[]string{
				"id", "citizen_id", "generation", "state", "algorithm", "public_key", "salt", "argon_memory_kib", "argon_passes", "argon_lanes",
				"box", "created_at", "password_at",
			},
			func(o other) []any {
				return []any{o.credential, o.id, 2, "usable", "rsa-3072", f.random(f.publicKey), f.random(16), 65536, 3, 1, f.random(f.box), f.then, f.then}
			},
		},
		{
			"certificates",
			[]string{"serial", "credential_id", "state", "der", "not_before", "not_after", "lease_until", "request_id", "issuer", "shard"},
			func(o other) []any {
				return []any{o.serial, o.credential, "issued", f.random(f.certificate), f.then, expiry, f.then, o.request, f.place.Issuer, f.place.Shard}
			},
		},
	}
}

func (f *filling) requestsTables() []table {
	return []table{
		{
			"requests",
			[]string{
				"id", "application_id", "identifier", "title", "locale", "return_url", "idempotency_key", "body_hash", "state",
				"created_at", "expires_at", "closed_at",
			},
			func(o other) []any {
				return []any{
					o.request, f.app.ID, o.identifier, "Solicitud de ayuda", "es", f.app.ReturnAddresses[0], o.request, o.digest, "signed",
					f.then, f.then.Add(time.Hour), f.then,
				}
			},
		},
		{
			"documents",
			[]string{"request_id", "ordinal", "name", "media_type", "format", "size", "sha256", "signing_time", "digest", "fixed_for"},
			func(o other) []any {
				return []any{o.request, 1, "solicitud.txt", "text/plain", "cades-detached", 1000, o.digest, f.then, o.digest, o.ticket}
			},
		},
		{
			"challenges",
			[]string{
				"id", "ticket_hash", "purpose", "request_id", "citizen_id", "phone", "mac", "reference", "documents", "attempts", "state",
				"created_at", "expires_at",
			},
			func(o other) []any {
				return []any{
					o.challenge, o.ticket, "signature", o.request, o.id, o.phone, o.seal, "ABCD", f.bound(o), 1, "consumed",
					f.then, f.then.Add(time.Minute),
				}
			},
		},
		{
			"authorisations",
			[]string{
				"id", "request_id", "application_id", "challenge_id", "citizen_id", "credential_id", "generation", "serial", "certificate",
				"algorithm", "documents", "state", "created_at", "expires_at", "ended_at", "sad_hash",
			},
			func(o other) []any {
				return []any{
					rand.Text(), o.request, f.app.ID, o.challenge, o.id, o.credential, 2, o.serial, o.digest,
					"rsa-3072", f.bound(o), "spent", f.then, f.then.Add(time.Minute), f.then, f.random(32),
				}
			},
		},
	}
}

func (f *filling) bound(o other) []signer.Bound {
	return []signer.Bound{{Ordinal: 1, Format: signer.CAdESDetached, Hash: signer.SHA256, Digest: o.digest, SigningTime: f.then.UTC().Truncate(time.Second)}}
}

// entries are some of those that a citizen's first signature leaves in the log,
// among them the one by which the record is believed.
func (f *filling) entries(o other) []audit.Entry {
	now := time.Now() // the log takes nothing from long ago
	return []audit.Entry{
		{
			Type: audit.CitizenSealed, Operation: o.id, At: now, Person: o.identifier,
			Payload: map[string]any{"version": 3, "seal": hex.EncodeToString(o.seal), "epoch": 1},
		},
		{
			Type: audit.CertificateIssued, Operation: o.request, At: now, Person: o.identifier,
			Payload: map[string]any{"credential": o.credential, "serial": o.serial, "sha256": hex.EncodeToString(o.digest)},
		},
		{
			Type: audit.SignDone, Operation: o.request, At: now, Person: o.identifier,
			Payload: map[string]any{"authorisation": o.challenge, "serial": o.serial, "signatures": []string{hex.EncodeToString(o.digest)}},
		},
	}
}

// finish leaves the database as one that has been looked after, and counts scans
// from here on.
func (f *filling) finish(ctx context.Context) error {
	for _, sql := range []string{`VACUUM (FREEZE, ANALYZE)`, `SELECT pg_stat_reset()`} {
		if _, err := f.conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("looking after the database: %w", err)
		}
	}
	return nil
}

// checkpoint writes down what all databases hold.
func (s *server) checkpoint(ctx context.Context) error {
	conn, err := s.connect(ctx, "postgres")
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, `CHECKPOINT`); err != nil {
		return fmt.Errorf("writing a checkpoint: %w", err)
	}
	return nil
}

// bulk is a transaction as the log sees it, for thousands of entries at once.
type bulk struct{ pgx.Tx }

// Now implements audit.Tx.
func (bulk) Now() time.Time { return time.Now() }

// LockHead implements audit.Tx.
func (b bulk) LockHead(ctx context.Context) (audit.Head, error) {
	var (
		h    audit.Head
		edge [][]byte
	)
	err := b.QueryRow(ctx, `SELECT size, last_time, edge FROM log_head FOR UPDATE`).Scan(&h.Size, &h.Last, &edge)
	for _, hash := range edge {
		h.Edge = append(h.Edge, tlog.Hash(hash))
	}
	return h, err
}

// Write implements audit.Tx.
func (b bulk) Write(ctx context.Context, next audit.Head, records []audit.Record) error {
	var entries, hashes, terms [][]any
	for _, r := range records {
		entries = append(entries, []any{r.Seq, string(r.Type), r.Operation, r.Person, r.At, r.Leaf, r.Payload, r.Salt})
		for n, h := range r.Hashes {
			hashes = append(hashes, []any{r.FirstHash() + int64(n), h[:]})
		}
		for _, t := range r.Terms {
			terms = append(terms, []any{t.Kind, t.Value, r.Seq})
		}
	}
	for _, t := range []struct {
		name    string
		columns []string
		rows    [][]any
	}{
		{"log_entries", []string{"seq", "type", "operation", "person", "at", "leaf", "payload", "salt"}, entries},
		{"log_hashes", []string{"index", "hash"}, hashes},
		{"log_terms", []string{"kind", "value", "seq"}, terms},
	} {
		if _, err := b.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromRows(t.rows)); err != nil {
			return fmt.Errorf("filling %s: %w", t.name, err)
		}
	}
	edge := make([][]byte, len(next.Edge))
	for i := range edge {
		edge[i] = next.Edge[i][:]
	}
	_, err := b.Exec(ctx, `UPDATE log_head SET size = $1, last_time = $2, edge = $3`, next.Size, next.Last, edge)
	return err
}
