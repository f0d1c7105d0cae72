package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/ca"
)

// listed are certificates that name one revocation list.
type listed struct {
	year, ordinal         int
	certificates, revoked int
	from, until           time.Time // when they were issued
}

func (l listed) name(issuer string) string { return fmt.Sprintf("%s-%d-%d", issuer, l.year, l.ordinal) }

const (
	// listSize is how many certificates name one list, as the store has it.
	listSize = 18_000
	validity = 4 // years
	// revokedOf is how many certificates there are to one that is revoked.
	revokedOf = 20
)

// spread is what n certificates that are all still valid look like: issued
// steadily since the oldest, so that their lists are of several years.
func spread(n int, now time.Time) []listed {
	now = now.UTC()
	oldest := now.AddDate(-validity, 1, 0)
	var lists []listed
	for from, done := oldest, 0; from.Before(now); {
		until := time.Date(from.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC)
		if until.After(now) {
			until = now
		}
		upTo := int(float64(n) * until.Sub(oldest).Seconds() / now.Sub(oldest).Seconds())
		for ordinal := 1; done < upTo; ordinal++ {
			size := min(listSize, upTo-done)
			lists = append(lists, listed{
				year: from.Year(), ordinal: ordinal, certificates: size, revoked: size / revokedOf, from: from, until: until,
			})
			done += size
		}
		from = until
	}
	return lists
}

// certify puts certificates in that belong to nobody, with an answer kept for
// each that is past half its life, and returns their serial numbers. They are as
// large as real ones; nothing here reads more of them than their status.
func (f *filling) certify(ctx context.Context, lists []listed) ([]string, error) {
	if err := f.measureAnswer(ctx); err != nil {
		return nil, err
	}
	var serials []string
	for _, l := range lists {
		more := make([]string, l.certificates)
		for i := range more {
			serial := f.random(16)
			serial[0] = serial[0]&0x7f | 0x40 // as long as all, and positive
			more[i] = hex.EncodeToString(serial)
		}
		if err := pgx.BeginFunc(ctx, f.conn, func(tx pgx.Tx) error { return f.insertList(ctx, tx, l, more) }); err != nil {
			return nil, fmt.Errorf("adding certificates: %w", err)
		}
		serials = append(serials, more...)
	}
	mathrand.Shuffle(len(serials), func(i, j int) { //nolint:gosec // an order, no secret
		serials[i], serials[j] = serials[j], serials[i]
	})
	return serials, nil
}

// measureAnswer reads how large an answer is.
func (f *filling) measureAnswer(ctx context.Context) error {
	authority, err := f.authority(ctx)
	if err != nil {
		return err
	}
	issuing, err := f.issuing(ctx)
	if err != nil {
		return err
	}
	asker, err := newAsker(issuing.Certificate)
	if err != nil {
		return err
	}
	var serial string
	if err := f.conn.QueryRow(ctx, `SELECT serial FROM certificates LIMIT 1`).Scan(&serial); err != nil {
		return fmt.Errorf("reading a serial number: %w", err)
	}
	request, err := asker.request(serial, nil)
	if err != nil {
		return err
	}
	answer, err := authority.OCSP(ctx, request)
	f.answer = len(answer.DER)
	return answered(answer, err)
}

func (f *filling) insertList(ctx context.Context, tx pgx.Tx, l listed, serials []string) error {
	shard, now := l.name(f.place.Issuer), time.Now()
	_, err := tx.Exec(ctx, `
		INSERT INTO crl_shards (name, issuer, year, ordinal, issued, ends_at)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (name) DO UPDATE SET issued = crl_shards.issued + EXCLUDED.issued, ends_at = greatest(crl_shards.ends_at, EXCLUDED.ends_at)`,
		shard, f.place.Issuer, l.year, l.ordinal, l.certificates, l.until.AddDate(validity, 0, 0))
	if err != nil {
		return fmt.Errorf("adding a list: %w", err)
	}
	columns := []string{
		"serial", "credential_id", "state", "der", "not_before", "not_after", "lease_until", "issuer", "shard",
		"revoked_at", "reason", "status_version",
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"certificates"}, columns, pgx.CopyFromSlice(len(serials), func(i int) ([]any, error) {
		at := l.from.Add(l.until.Sub(l.from) * time.Duration(i) / time.Duration(len(serials)))
		var (
			revoked *time.Time
			reason  *int
			version = 1
		)
		if i*l.revoked/len(serials) != (i+1)*l.revoked/len(serials) { // evenly among the others
			when, why := at.Add(now.Sub(at)/2).Truncate(time.Second), int(ca.CessationOfOperation)
			revoked, reason, version = &when, &why, 2
		}
		return []any{
			serials[i], rand.Text(), "issued", f.random(f.certificate), at, at.AddDate(validity, 0, 0), at, f.place.Issuer, shard,
			revoked, reason, version,
		}, nil
	}))
	if err != nil {
		return fmt.Errorf("filling certificates: %w", err)
	}
	columns = []string{"serial", "status_version", "der", "this_update", "next_update"}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"ocsp_answers"}, columns, pgx.CopyFromSlice(len(serials), func(i int) ([]any, error) {
		return []any{serials[i], 1, f.random(f.answer), now.Add(-13 * time.Hour), now.Add(11 * time.Hour)}, nil
	}))
	if err != nil {
		return fmt.Errorf("filling ocsp_answers: %w", err)
	}
	return nil
}
