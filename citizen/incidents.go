package citizen

import (
	"context"
	"crypto/rand"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Incident is a citizen's "this was not me", and what an office made of it.
type Incident struct {
	ID        string
	CitizenID string
	RequestID string // of the signature that it is about; empty if about none
	Said      string
	OpenedAt  time.Time
	Suspended bool      // whether the certificate was put on hold for it; of one that was just opened
	ClosedAt  time.Time // zero while it is open
	ClosedBy  string
	Outcome   string
}

// IncidentStore keeps incidents. Each method is one transaction.
type IncidentStore interface {
	// Request reads a request (RequestUnknown).
	Request(ctx context.Context, id string) (signer.Request, error)
	// OpenIncident stores an incident and suspends the certificate, if there is a
	// move that does. All sessions but the one named end, and all consents.
	OpenIncident(ctx context.Context, i Incident, m *Move, keep []byte, entries ...audit.Entry) error
	// CloseIncident closes an open incident of that citizen (NotFound).
	CloseIncident(ctx context.Context, i Incident, e audit.Entry) error
}

// Incidents takes "this was not me" from citizens.
type Incidents struct {
	Register *Service // whose people and vault are used
	Store    IncidentStore
}

// Complaint is what a citizen says.
type Complaint struct {
	Ticket    signer.Ticket
	RequestID string // of the signature; empty if it is about something else
	Said      string
}

// maxSaid bounds a complaint, in characters.
const maxSaid = 2000

// parseSaid takes plain text of several lines. Marks that nobody sees, and that
// could turn a line around for whoever reads it at an office, are left out.
func parseSaid(text string) (string, error) {
	text = strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return -1
		}
		return r
	}, strings.TrimSpace(text))
	if !utf8.ValidString(text) || utf8.RuneCountInString(text) > maxSaid {
		return "", policies.Refuse(policies.RequestMalformed, "field", "said")
	}
	return text, nil
}

// OpenIncident takes a complaint: at once, from any session and without a code, because
// whoever says so may have lost the mobile. What it does can be undone by the
// citizen, and by nobody who does not know the password.
func (i *Incidents) OpenIncident(ctx context.Context, c Complaint) (Incident, error) {
	said, err := parseSaid(c.Said)
	if err != nil {
		return Incident{}, err
	}
	v, err := i.Register.visit(ctx, c.Ticket)
	if err != nil {
		return Incident{}, err
	}
	if c.RequestID != "" {
		r, err := i.Store.Request(ctx, c.RequestID)
		if err != nil {
			return Incident{}, err
		}
		if r.Identifier != v.citizen.Identifier {
			return Incident{}, policies.Refuse(policies.RequestUnknown)
		}
	}
	incident := Incident{ID: rand.Text(), CitizenID: v.citizen.ID, RequestID: c.RequestID, Said: said, OpenedAt: v.now}
	move, err := i.suspension(ctx, v)
	if err != nil {
		return Incident{}, err
	}
	incident.Suspended = move != nil
	facts := map[string]any{"incident": incident.ID, "via": string(v.Via), "suspended": incident.Suspended}
	if c.RequestID != "" {
		facts["request"] = c.RequestID
	}
	entries := []audit.Entry{v.entry(audit.IncidentOpened, facts)}
	if move != nil {
		t := transition{event: audit.KeySuspended}
		entries = append(entries, t.entry(v.citizen, Order{Reason: "incident " + incident.ID}, *move, v.now))
	}
	return incident, i.Store.OpenIncident(ctx, incident, move, v.Hash, entries...)
}

// suspension is the move that puts the certificate on hold, nil where there is
// none that could sign.
func (i *Incidents) suspension(ctx context.Context, v visit) (*Move, error) {
	if signer.Changeable(signer.ForSuspension, v.credential, v.now) != nil {
		return nil, nil //nolint:nilnil,nilerr // there is nothing to suspend
	}
	m := Move{From: v.citizen.Status, To: v.citizen.Status, Fate: Suspended}
	k, err := m.settle(v.credential, v.now)
	if err != nil {
		return nil, err
	}
	m.Change, err = i.Register.People.Change(ctx, v.citizen, k)
	return &m, err
}

// Close ends an incident as an office says (ActCloseIncident).
func (i *Incidents) Close(ctx context.Context, s Statement) (Receipt, error) {
	c, _, err := i.Register.People.ByIdentifier(ctx, s.Identifier.String())
	if err != nil {
		return Receipt{}, err
	}
	now, by := i.Register.Now(), s.By()
	err = i.Store.CloseIncident(ctx, Incident{ID: s.Subject, CitizenID: c.ID, ClosedAt: now, ClosedBy: by.String(), Outcome: s.Reason}, audit.Entry{
		Type: audit.IncidentClosed, Operation: c.ID, At: now, Person: c.Identifier,
		Payload: by.into(map[string]any{"incident": s.Subject, "outcome": s.Reason}),
	})
	return Receipt{CitizenID: c.ID}, err
}
