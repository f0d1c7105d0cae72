package citizen

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
)

// Act is a statement that an office signed, and the office that the carrier
// says it comes from. Nothing of it is believed before Desk.Accept.
type Act struct {
	Office string // client id
	JWS    string // RFC 7515, compact serialization
}

// Office is who may register citizens, as it stands in the database.
type Office struct {
	ID           string // client id
	Name         string
	Organisation string
	Scopes       []string
	Enabled      bool
	OfficeKey
}

// OfficeKey is what an office's acts are checked with: the public key, and a
// seal over all of the Office, which nobody makes without the token. Whoever
// can write the database can neither put a key in its place nor move one.
type OfficeKey struct {
	PublicKey []byte // SubjectPublicKeyInfo, DER; nil where there is none
	Seal      []byte
	SealEpoch int
}

// Offices keeps offices and what they have done. *store.DB fulfils it.
type Offices interface {
	// Office reads an office, enabled or not (ApplicationUnknown).
	Office(ctx context.Context, id string) (Office, error)
	// RecordAct makes an act the only one of its office with its ID, durably
	// (OfficeActRepeated).
	RecordAct(ctx context.Context, s Statement, now time.Time) error
}

// Seals are HMACs by the token over fields, each bounded so that no two lists
// of fields are sealed alike. *signer.Vault fulfils it.
type Seals interface {
	// Seal seals under the newest epoch of the token's key.
	Seal(ctx context.Context, kind string, fields ...string) (epoch int, mac []byte, err error)
	// CheckSeal refuses what Seal did not make of these fields (RecordTampered).
	CheckSeal(ctx context.Context, epoch int, mac []byte, kind string, fields ...string) error
}

// sealKind keeps seals of offices apart from all others.
const sealKind = "office"

func (o Office) fields() []string {
	enabled := "enabled"
	if !o.Enabled {
		enabled = "disabled"
	}
	return []string{o.ID, o.Name, o.Organisation, strings.Join(o.Scopes, " "), enabled, string(o.PublicKey)}
}

// Sealed gives the office's key with a seal over the office as it is.
func (o Office) Sealed(ctx context.Context, seals Seals) (OfficeKey, error) {
	if _, err := ParseOfficeKey(o.PublicKey); err != nil {
		return OfficeKey{}, err
	}
	epoch, mac, err := seals.Seal(ctx, sealKind, o.fields()...)
	if err != nil {
		return OfficeKey{}, fmt.Errorf("sealing an office: %w", err)
	}
	return OfficeKey{PublicKey: o.PublicKey, Seal: mac, SealEpoch: epoch}, nil
}

// OfficeRows are all offices that have a key. *store.DB fulfils it.
type OfficeRows interface {
	AllOffices(ctx context.Context) ([]Office, error)
	// ResealOffice puts a newer seal in the place of the one that o has; where
	// the row has changed since it was read, it changes nothing.
	ResealOffice(ctx context.Context, o Office, key OfficeKey) error
}

// ResealOffices moves offices to the newest epoch of the seal: after this no
// office needs an older one. An office whose seal does not hold stays as it is
// and is an error; the others move all the same.
func ResealOffices(ctx context.Context, rows OfficeRows, seals Seals) error {
	offices, err := rows.AllOffices(ctx)
	if err != nil {
		return fmt.Errorf("reading the offices: %w", err)
	}
	var failures []error
	for _, o := range offices {
		if err := o.reseal(ctx, rows, seals); err != nil {
			failures = append(failures, fmt.Errorf("sealing office %s anew: %w", o.ID, err))
		}
	}
	return errors.Join(failures...)
}

func (o Office) reseal(ctx context.Context, rows OfficeRows, seals Seals) error {
	if err := seals.CheckSeal(ctx, o.SealEpoch, o.Seal, sealKind, o.fields()...); err != nil {
		return err
	}
	key, err := o.Sealed(ctx, seals)
	if err != nil {
		return err
	}
	return rows.ResealOffice(ctx, o, key)
}

// ParseOfficeKey reads the public key of an office, SubjectPublicKeyInfo in
// DER. It is on P-256, for ES256.
func ParseOfficeKey(der []byte) (*ecdsa.PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("reading an office's key: %w", err)
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("an office's key must be an elliptic curve key on P-256")
	}
	return key, nil
}

// registrationScope is what an office is allowed.
const registrationScope = "registration"

// actLife is how far from now an act may have been signed, either way: an
// office's clock need not be better than that.
const actLife = 5 * time.Minute

// Desk takes acts of offices in. Each is accepted once.
type Desk struct {
	Offices  Offices
	Seals    Seals
	Audience string // public address of this service, without a slash at its end
	Now      func() time.Time
}

// Accept believes an act or refuses it (OfficeActInvalid, OfficeActRepeated,
// RecordTampered). An act that was accepted has been recorded: it will not be
// accepted again, whatever becomes of it. Once the signature holds, the
// statement comes with the refusal too, as what the office did say.
func (d Desk) Accept(ctx context.Context, a Act) (Statement, error) {
	now := d.Now()
	s, l, err := readAct(a.JWS)
	if err != nil {
		return Statement{}, err
	}
	if s.Office != a.Office {
		return Statement{}, invalidAct("office")
	}
	office, key, err := d.office(ctx, a.Office)
	if err != nil {
		return Statement{}, err
	}
	if !l.signedWith(key) {
		return Statement{}, invalidAct("signature")
	}
	s.OfficeName = office.Name
	switch {
	case s.Audience != d.Audience:
		return s, invalidAct("audience")
	case s.At.Before(now.Add(-actLife)), s.At.After(now.Add(actLife)):
		return s, invalidAct("time")
	}
	return s, d.Offices.RecordAct(ctx, s, now)
}

// office reads an office that may act, and its key.
func (d Desk) office(ctx context.Context, id string) (Office, *ecdsa.PublicKey, error) {
	o, err := d.Offices.Office(ctx, id)
	if errors.Is(err, policies.Refuse(policies.ApplicationUnknown)) || err == nil && o.PublicKey == nil {
		return o, nil, invalidAct("office")
	}
	if err != nil {
		return o, nil, err
	}
	if err := d.Seals.CheckSeal(ctx, o.SealEpoch, o.Seal, sealKind, o.fields()...); err != nil {
		return o, nil, err
	}
	if !o.Enabled || !slices.Contains(o.Scopes, registrationScope) {
		return o, nil, invalidAct("office")
	}
	key, err := ParseOfficeKey(o.PublicKey)
	return o, key, err
}
