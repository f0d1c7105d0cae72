package signer

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// People reads citizens' records and believes none that this service did not
// write, or did not write last: whoever can write the database can neither
// point a code at another phone, nor lift a block, nor bring an older row back.
//
// The seal says that a row was once written by this service. That it is the
// newest one is what the log says, whose entries cannot be taken away unseen.
type People struct {
	Rows interface {
		CitizenReader
		Logger
	}
	Vault  *Vault
	Now    func() time.Time
	Logger *slog.Logger
}

// ByID reads a citizen and the credential that is not destroyed, nil if there
// is none (policies.RecordTampered).
func (p People) ByID(ctx context.Context, id string) (Citizen, *Credential, error) {
	c, k, err := p.Rows.CitizenByID(ctx, id)
	if err != nil {
		return c, nil, err
	}
	return c, k, p.check(ctx, c, k)
}

// ByIdentifier is the same. A stranger (policies.CitizenUnknown) costs what a
// citizen costs.
func (p People) ByIdentifier(ctx context.Context, identifier string) (Citizen, *Credential, error) {
	c, k, err := p.Rows.CitizenByIdentifier(ctx, identifier)
	if errors.Is(err, policies.Refuse(policies.CitizenUnknown)) {
		// Of whoever was read instead; what it says does not matter.
		_ = p.Vault.CheckSeal(ctx, c.Seal.Epoch, c.Seal.MAC, sealedCitizen, c.statement(k)...)
	}
	if err != nil {
		return Citizen{}, nil, err
	}
	return c, k, p.check(ctx, c, k)
}

func (p People) check(ctx context.Context, c Citizen, k *Credential) error {
	err := p.Vault.CheckSeal(ctx, c.Seal.Epoch, c.Seal.MAC, sealedCitizen, c.statement(k)...)
	differs := "seal"
	if err == nil && (c.Version != c.Newest.Version || !hmac.Equal(c.Seal.MAC, c.Newest.MAC)) {
		err, differs = policies.Refuse(policies.RecordTampered), "version"
	}
	if !errors.Is(err, policies.Refuse(policies.RecordTampered)) {
		return err
	}
	p.Logger.ErrorContext(ctx, "record_tampered", "citizen", c.ID, "differs", differs, "version", c.Version, "newest", c.Newest.Version)
	return errors.Join(err, p.Rows.Log(ctx, audit.Entry{
		Type: audit.CitizenSealBroken, Operation: c.ID, At: p.Now(), Person: c.Identifier,
		Payload: facts{"reason": string(policies.RecordTampered), "differs": differs, "version": c.Version},
	}))
}

// Change seals a record as it is going to stand, c.Version being the version
// that it replaces.
func (p People) Change(ctx context.Context, c Citizen, k *Credential) (Change, error) {
	was := c.Version
	c.Version++
	epoch, mac, err := p.Vault.Seal(ctx, sealedCitizen, c.statement(k)...)
	if err != nil {
		return Change{}, err
	}
	return Change{
		CitizenID: c.ID, Was: was, Seal: Seal{Epoch: epoch, MAC: mac},
		Entry: audit.Entry{
			Type: audit.CitizenSealed, Operation: c.ID, At: p.Now(), Person: c.Identifier,
			Payload: map[string]any{"version": c.Version, "seal": hexOf(mac), "epoch": epoch},
		},
	}, nil
}

// ParseNewest reads back what Change wrote into a citizen.sealed entry.
func ParseNewest(payload []byte) (Newest, error) {
	var written struct {
		Version int64  `json:"version"`
		Seal    string `json:"seal"`
	}
	if err := json.Unmarshal(payload, &written); err != nil {
		return Newest{}, fmt.Errorf("reading a sealed version: %w", err)
	}
	mac, err := hex.DecodeString(written.Seal)
	if err != nil {
		return Newest{}, fmt.Errorf("reading a sealed version: %w", err)
	}
	return Newest{Version: written.Version, MAC: mac}, nil
}

const sealedCitizen = "citizen"

// statement is what the seal covers: everything that decides to whom a code
// goes, whether there may be a certificate, and with which key is signed.
func (c Citizen) statement(k *Credential) []string {
	fields := []string{
		c.ID, strconv.FormatInt(c.Version, 10), c.Identifier, c.GivenName, c.Surnames,
		c.Phone, c.Email, string(c.Status), c.DocumentUntil.Format(time.DateOnly),
		c.Registration.Mode, c.Registration.Level, instant(c.Registration.AssuredAt),
	}
	return append(append(fields, keyStatement(k)...), c.later()...)
}

// later is what came to be covered after the first seals were made: each with a
// name, and only if it is not what it always was, so that those seals hold.
func (c Citizen) later() []string {
	var fields []string
	if !c.PhoneChangedAt.IsZero() {
		fields = append(fields, "phone changed", instant(c.PhoneChangedAt))
	}
	if len(c.Associated) > 0 {
		fields = append(fields, "associated", hexOf(c.Associated))
	}
	if c.Notices != "" && c.Notices != NoticesMail {
		fields = append(fields, "notices", string(c.Notices))
	}
	return fields
}

// keyStatement is what of it is the credential's, nothing where there is none.
func keyStatement(k *Credential) []string {
	if k == nil {
		return nil
	}
	fields := []string{
		k.ID, strconv.FormatInt(k.Generation, 10), string(k.State), k.Algorithm, fingerprint(k.PublicKey),
		string(k.Keeper), strconv.Itoa(k.KEK), k.KeyLabel, strconv.Itoa(k.Sealed.Pepper), fmt.Sprint(k.Sealed.Cost),
		instant(k.PasswordAt),
	}
	if crt := k.Certificate; crt != nil {
		fields = append(fields, crt.Serial, fingerprint(crt.DER), instant(crt.NotBefore), instant(crt.NotAfter), instant(crt.RevokedAt))
		if crt.Suspended() {
			fields = append(fields, "suspended")
		}
	}
	return fields
}

// instant writes a time as the database keeps it, to the microsecond.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano)
}

func fingerprint(der []byte) string { return fmt.Sprintf("%x", sha256.Sum256(der)) }
