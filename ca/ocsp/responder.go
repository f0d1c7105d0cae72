package ocsp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// Config names the parts of a Responder.
type Config struct {
	// Issuers are the authorities that are answered for, at this moment.
	Issuers  func() []Issuer
	Statuses Statuses
	// Life is from thisUpdate to nextUpdate.
	Life time.Duration
	Now  func() time.Time
	// Trusted says why the clock of Now is not to be trusted. Without trust
	// there is no answer but tryLater.
	Trusted func(ctx context.Context) error
}

// Responder answers OCSP requests. It is safe for concurrent use as far as the
// Signers are.
type Responder struct{ c Config }

// New makes a Responder.
func New(c Config) (*Responder, error) {
	if c.Issuers == nil || c.Statuses == nil || c.Now == nil || c.Trusted == nil || c.Life < time.Minute {
		return nil, errors.New("responder without issuers, statuses, a clock, trust in it, or a life of a minute")
	}
	return &Responder{c: c}, nil
}

// Answer is what is sent back.
type Answer struct {
	DER []byte // an OCSPResponse
	// Serial, ThisUpdate and NextUpdate are of the certificate asked for, if it
	// was one that is known.
	Serial     string
	ThisUpdate time.Time
	NextUpdate time.Time
	// Cacheable is whether the answer may be given again to the same request,
	// octet for octet, as long as the status of Serial does not change.
	Cacheable bool
}

// Answer answers a request. There is always an answer to send. The error is the
// operator's: why it is an error of the protocol, but for malformed requests
// and those for others' certificates, which are no fault here; or why a good
// answer could not be kept.
func (r *Responder) Answer(ctx context.Context, request []byte) (Answer, error) {
	parsed, err := Parse(request)
	if err != nil {
		return failure(malformedRequest), nil //nolint:nilerr // the fault is the client's, who is told so
	}
	issuer, ok := r.issuerOf(parsed)
	if !ok {
		return failure(unauthorized), nil
	}
	answer, err := r.answer(ctx, issuer, parsed)
	switch {
	case answer.DER != nil:
		return answer, err
	case errors.Is(err, errInternal):
		return failure(internalError), err
	default:
		return failure(tryLater), err
	}
}

// errInternal is what trying later will not mend.
var errInternal = errors.New("making an answer")

func (r *Responder) issuerOf(request *Request) (Issuer, bool) {
	issuers := r.c.Issuers()
	for _, id := range request.Certificates {
		if i := slices.IndexFunc(issuers, func(i Issuer) bool { return i.issued(id) }); i >= 0 {
			return issuers[i], true
		}
	}
	return Issuer{}, false
}

func (r *Responder) answer(ctx context.Context, issuer Issuer, request *Request) (Answer, error) {
	d, err := r.look(ctx, issuer, request)
	if err != nil {
		return Answer{}, err
	}
	form, err := issuer.certID(d.singles[0].id.Serial)
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", errInternal, err)
	}
	if !d.lone() || len(d.nonce) > 0 || !bytes.Equal(form.raw, d.singles[0].id.raw) {
		return r.sign(d)
	}
	if answer, ok, err := r.kept(ctx, d); ok || err != nil {
		return answer, err
	}
	return r.renew(ctx, d)
}

// look asks for the status of what is asked for. The clock is read before: an
// answer is never dated after a change that it does not know.
func (r *Responder) look(ctx context.Context, issuer Issuer, request *Request) (data, error) {
	if err := r.c.Trusted(ctx); err != nil {
		return data{}, fmt.Errorf("trusting the clock: %w", err)
	}
	now := r.c.Now().UTC().Truncate(time.Second)
	if err := issuer.check(now); err != nil {
		return data{}, err
	}
	d := data{issuer: issuer, thisUpdate: now, nextUpdate: now.Add(r.c.Life), nonce: request.Nonce}
	if end := issuer.Responder.NotAfter; d.nextUpdate.After(end) { // no answer outlives its signature
		d.nextUpdate = end.UTC()
	}
	serials := make([]string, len(request.Certificates)) // of the issuer's
	for i, id := range request.Certificates {
		if id.Serial.Sign() > 0 && issuer.issued(id) {
			serials[i] = Serial(id.Serial)
		}
	}
	statuses, err := r.statuses(ctx, issuer, serials)
	if err != nil {
		return data{}, err
	}
	for i, id := range request.Certificates {
		d.singles = append(d.singles, single{id: id, status: statuses[serials[i]]})
	}
	return d, nil
}

func (r *Responder) statuses(ctx context.Context, issuer Issuer, serials []string) (map[string]Status, error) {
	asked := slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(serials))), func(s string) bool { return s == "" })
	if len(asked) == 0 {
		return nil, nil
	}
	statuses, err := r.c.Statuses.Status(ctx, issuer.Name, asked)
	if err != nil {
		return nil, fmt.Errorf("reading the status: %w", err)
	}
	return statuses, nil
}

// kept gives an answer again if it is of this version of the status, is younger
// than half its life, and says what would be signed now with its dates. The
// last finds out a row that was tampered with or belongs to another responder.
func (r *Responder) kept(ctx context.Context, d data) (Answer, bool, error) {
	serial := d.serial()
	k, err := r.c.Statuses.Kept(ctx, serial)
	if err != nil {
		return Answer{}, false, fmt.Errorf("reading a kept answer: %w", err)
	}
	this, next := k.ThisUpdate.UTC(), k.NextUpdate.UTC()
	if k.DER == nil || k.Version != d.singles[0].status.Version || this.After(d.thisUpdate) || !d.thisUpdate.Before(this.Add(next.Sub(this)/2)) {
		return Answer{}, false, nil
	}
	d.thisUpdate, d.nextUpdate = this, next
	tbs, err := d.marshal()
	if err != nil {
		return Answer{}, false, fmt.Errorf("%w: %w", errInternal, err)
	}
	if !says(k.DER, tbs) {
		return Answer{}, false, nil
	}
	return Answer{DER: k.DER, Serial: serial, ThisUpdate: this, NextUpdate: next, Cacheable: true}, true, nil
}

// renew signs and keeps an answer. It is good even if it cannot be kept.
func (r *Responder) renew(ctx context.Context, d data) (Answer, error) {
	answer, err := r.sign(d)
	if err != nil {
		return Answer{}, err
	}
	err = r.c.Statuses.Keep(ctx, Kept{
		Serial: answer.Serial, Version: d.singles[0].status.Version, DER: answer.DER, ThisUpdate: answer.ThisUpdate, NextUpdate: answer.NextUpdate,
	})
	if err != nil {
		return answer, fmt.Errorf("keeping an answer: %w", err)
	}
	return answer, nil
}

func (r *Responder) sign(d data) (Answer, error) {
	tbs, err := d.marshal()
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", errInternal, err)
	}
	signed, err := d.issuer.sign(tbs)
	if errors.Is(err, errSigner) || errors.Is(err, errResponder) { // faults that the operator mends
		return Answer{}, err
	}
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", errInternal, err)
	}
	answer := Answer{DER: signed}
	if d.lone() {
		answer = Answer{DER: signed, Serial: d.serial(), ThisUpdate: d.thisUpdate, NextUpdate: d.nextUpdate, Cacheable: len(d.nonce) == 0}
	}
	return answer, nil
}

// Presign signs and keeps the answer for a certificate before anyone asks, at
// its issue and at each change of its status.
func (r *Responder) Presign(ctx context.Context, issuer, serial string) error {
	canonical, err := canonicalSerial(serial)
	if err != nil {
		return err
	}
	issuers := r.c.Issuers()
	i := slices.IndexFunc(issuers, func(i Issuer) bool { return i.Name == issuer })
	if i < 0 || issuers[i].Certificate == nil {
		return fmt.Errorf("signing an answer ahead: there is no authority %q", issuer)
	}
	number, _ := new(big.Int).SetString(canonical, 16)
	id, err := issuers[i].certID(number)
	if err != nil {
		return fmt.Errorf("signing an answer ahead: %w", err)
	}
	d, err := r.look(ctx, issuers[i], &Request{Certificates: []CertID{id}})
	if err != nil {
		return fmt.Errorf("signing an answer ahead: %w", err)
	}
	if d.singles[0].status.State == Unknown {
		return fmt.Errorf("signing an answer ahead: %s has issued no certificate %s", issuer, canonical)
	}
	_, err = r.renew(ctx, d)
	return err
}
