package citizen

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Leave ends the session of the own pages, or all that the citizen has anywhere,
// with the codes and consents that wait in them. One that is over is left
// already.
func (p *Profile) Leave(ctx context.Context, t signer.Ticket, everywhere bool) error {
	v, err := p.Register.visit(ctx, t)
	if err == nil {
		e := v.entry(audit.SessionEnded, map[string]any{"via": string(v.Via), "everywhere": everywhere})
		if everywhere {
			err = p.Store.EndVisits(ctx, v.citizen.ID, e)
		} else {
			err = p.Store.EndVisit(ctx, v.Hash, e)
		}
	}
	if errors.Is(err, policies.Refuse(policies.SessionExpired)) {
		return nil
	}
	return err
}

// freshness is how lately somebody must have been identified to be handed what
// they signed: a browser that was left open gives nothing away.
const freshness = 10 * time.Minute

// TakeDocument admits whoever signed a document to it, and nobody else, and
// writes down that it is taken. Who was not identified just now, with the
// password or a certificate, has to be again (SessionExpired).
func (p *Profile) TakeDocument(ctx context.Context, t signer.Ticket, requestID string, ordinal int) error {
	v, err := p.Register.visit(ctx, t)
	if err != nil {
		return err
	}
	if sure := v.Via == signer.ViaPassword || v.Via == signer.ViaCertificate; !sure || v.now.After(v.IdentifiedAt.Add(freshness)) {
		return policies.Refuse(policies.SessionExpired)
	}
	r, err := p.Store.Request(ctx, requestID)
	if err != nil {
		return err
	}
	switch {
	case r.Identifier != v.citizen.Identifier:
		return policies.Refuse(policies.RequestUnknown)
	case r.State != signer.Signed:
		return policies.Refuse(policies.RequestState, "state", string(r.State))
	case ordinal < 1 || ordinal > len(r.Documents):
		return policies.Refuse(policies.NotFound)
	}
	e := v.entry(audit.DocumentTaken, map[string]any{
		"via": string(v.Via), "application": r.Application.ID, "ordinal": ordinal, "sha256": fmt.Sprintf("%x", r.Documents[ordinal-1].SHA256),
	})
	e.Operation = r.ID
	return p.Register.Store.Log(ctx, e)
}
