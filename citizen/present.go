package citizen

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json/v2"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// Presented is a presentation as it waits for the browser that began it. Seal covers
// all of it, so that whoever can write the database shows nobody's certificate.
type Presented struct {
	Hash      []byte // SHA-256 of the code that the browser takes along
	Challenge []byte
	Facts     Attestation
	CreatedAt time.Time
	ExpiresAt time.Time
	Seal      RowSeal
	// Identifier is whose certificate it is.
	Identifier string
}

// RowSeal is an HMAC by the token over a row.
type RowSeal struct {
	Epoch int
	MAC   []byte
}

// Attestation is what proves who somebody is, and what they have said since.
// As JSON it stands in the database, in the order of its fields, sealed.
type Attestation struct {
	Procedure   Procedure         `json:"procedure"`
	Mode        policies.Mode     `json:"mode"`
	Level       policies.Level    `json:"level"`
	GivenName   string            `json:"given_name"`
	Surnames    string            `json:"surnames"`
	Evidence    map[string]string `json:"evidence,omitempty"`
	Certificate []byte            `json:"certificate,omitempty"` // DER
	// Who vouches for it.
	Office     string `json:"office"` // client id
	OfficeName string `json:"office_name"`
	Officer    string `json:"officer"`
	Statement  string `json:"statement,omitempty"`
	// What the person has typed.
	Email         string `json:"email,omitempty"`
	DocumentUntil string `json:"document_until,omitempty"` // year-month-day
	Locale        string `json:"locale,omitempty"`
	// CodeSeconds is how long the code lasts that was sent last, for the page that
	// asks for it.
	CodeSeconds int `json:"code_seconds,omitempty"`
}

// by is who vouches, for the log.
func (a Attestation) by() By { return By{Office: a.Office, Officer: a.Officer, Statement: a.Statement} }

// text is the attestation as seals cover it.
func (a Attestation) text() (string, error) {
	text, err := json.Marshal(a, json.Deterministic(true))
	if err != nil {
		return "", fmt.Errorf("writing an attestation: %w", err)
	}
	return string(text), nil
}

// PresentationStore keeps presentations. Each method is one transaction.
type PresentationStore interface {
	// Present keeps what was shown.
	Present(ctx context.Context, s Presented, e audit.Entry) error
	// TakePresented takes it away (SessionExpired).
	TakePresented(ctx context.Context, hash, challenge []byte, now time.Time) (Presented, error)
}

// presentationLife is how long a browser takes from the certificate door to the
// page that it set out from.
const presentationLife = 2 * time.Minute

// Presentations takes in what the certificate door says, and hands it to the
// browser that began it: the code in the address of its return is worth nothing
// without the verifier that this browser alone has (RFC 7636).
type Presentations struct {
	Store PresentationStore
	Seals Seals
	Now   func() time.Time
}

// Present is the Performer of ActPresentCertificate. The receipt's code is what
// the browser takes along.
func (p *Presentations) Present(ctx context.Context, s Statement) (Receipt, error) {
	evidence, err := s.Presentation.evidence()
	if err != nil {
		return Receipt{}, err
	}
	secret := make([]byte, sha256.Size)
	rand.Read(secret)
	hash, now := sha256.Sum256(secret), p.Now()
	row := Presented{
		Hash: hash[:], Challenge: s.Presentation.Challenge, Identifier: s.Identifier.String(),
		CreatedAt: now.UTC().Truncate(time.Microsecond), ExpiresAt: now.Add(presentationLife).UTC().Truncate(time.Microsecond),
		Facts: Attestation{
			Procedure: s.Presentation.Procedure, Mode: s.Presentation.Class.mode(), Level: policies.LevelAdvanced,
			GivenName: s.Presentation.Name.Given(), Surnames: s.Presentation.Name.Surnames(),
			Evidence: evidence, Certificate: s.Presentation.DER,
			Office: s.Office, OfficeName: s.OfficeName, Officer: s.Officer, Statement: s.ID,
		},
	}
	fields, err := row.fields()
	if err != nil {
		return Receipt{}, err
	}
	if row.Seal.Epoch, row.Seal.MAC, err = p.Seals.Seal(ctx, sealedPresentation, fields...); err != nil {
		return Receipt{}, err
	}
	err = p.Store.Present(ctx, row, audit.Entry{
		Type: audit.CertificatePresented, Operation: s.ID, At: now, Person: row.Identifier,
		Payload: s.By().into(map[string]any{"procedure": string(s.Presentation.Procedure), "evidence": evidence, "serial": evidence["serial"]}),
	})
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{Code: base64.RawURLEncoding.EncodeToString(secret)}, nil
}

const sealedPresentation = "presentation"

func (s Presented) fields() ([]string, error) {
	text, err := s.Facts.text()
	return []string{
		fmt.Sprintf("%x", s.Hash), fmt.Sprintf("%x", s.Challenge), s.Identifier, text, exactly(s.CreatedAt), exactly(s.ExpiresAt),
	}, err
}

// exactly writes a time as the database keeps it, to the microsecond.
func exactly(t time.Time) string { return t.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano) }

// take hands over what was shown for a procedure to who holds the verifier. All
// that is wrong with it is one refusal: whoever it is begins again.
func (p *Presentations) take(ctx context.Context, r Redemption) (Presented, error) {
	expired := policies.Refuse(policies.SessionExpired)
	secret, err := base64.RawURLEncoding.Strict().DecodeString(r.Code)
	if err != nil || len(secret) != sha256.Size {
		return Presented{}, expired
	}
	verifier, err := base64.RawURLEncoding.Strict().DecodeString(r.Verifier)
	if err != nil || len(verifier) != sha256.Size {
		return Presented{}, expired
	}
	hash, challenge := sha256.Sum256(secret), sha256.Sum256(verifier)
	row, err := p.Store.TakePresented(ctx, hash[:], challenge[:], p.Now())
	if err != nil {
		return row, err
	}
	fields, err := row.fields()
	if err != nil {
		return row, err
	}
	if err := p.Seals.CheckSeal(ctx, row.Seal.Epoch, row.Seal.MAC, sealedPresentation, fields...); err != nil {
		return row, err
	}
	if row.Facts.Procedure != r.Procedure {
		return row, expired
	}
	return row, nil
}
