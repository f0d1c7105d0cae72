package ceremony

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/ca"
)

// ListState is a revocation list as it stands.
type ListState struct {
	Shard      string    `json:"shard"`
	Issuer     string    `json:"issuer"`
	Number     int64     `json:"number"` // 0: there is none yet
	Entries    int       `json:"entries"`
	ThisUpdate time.Time `json:"this_update,omitzero"`
	NextUpdate time.Time `json:"next_update,omitzero"`
	EndsAt     time.Time `json:"ends_at,omitzero"` // when the last certificate that names it ends; zero: never
}

// Inspection names what is looked at.
type Inspection struct {
	Hierarchy ca.Hierarchy
	Lists     []ListState
	// Service and Root are nil where nobody has given a token.
	Service, Root Token
	// CitizenYears is how long citizens' certificates are valid.
	CitizenYears int
	Now          time.Time
}

// MemberState is a member as it stands.
type MemberState struct {
	Name       string    `json:"name"`
	Role       ca.Role   `json:"role"`
	Issuer     string    `json:"issuer"`
	Subject    string    `json:"subject"`
	Serial     string    `json:"serial"`
	SHA256     string    `json:"sha256"`
	Algorithm  string    `json:"algorithm"`
	Label      string    `json:"key_label"`
	Token      string    `json:"token"`
	Key        string    `json:"key"` // present, missing, other, not looked for
	NotBefore  time.Time `json:"not_before"`
	NotAfter   time.Time `json:"not_after"`
	KeyEnd     time.Time `json:"key_end"` // the key's last day of use
	DaysLeft   int       `json:"days_left"`
	RetiredAt  time.Time `json:"retired_at,omitzero"`
	RevokedAt  time.Time `json:"revoked_at,omitzero"`
	Reason     ca.Reason `json:"reason,omitzero"`
	RollOverBy time.Time `json:"roll_over_by,omitzero"` // of the current issuing authority
}

// Keys of members, as an inspection finds them.
const (
	KeyPresent   = "present"
	KeyMissing   = "missing"
	KeyOther     = "other"
	KeyUnchecked = "not looked for"
)

// Report is what an inspection found. Problems need a person.
type Report struct {
	Members  []MemberState `json:"members"`
	Lists    []ListState   `json:"lists"`
	Problems []string      `json:"problems"`
	Notes    []string      `json:"notes"`
}

// How long before an end people are told.
const (
	rootListNotice = 60 * 24 * time.Hour
	responderAlarm = 20 * 24 * time.Hour // the signer renews at a third of ninety days: it has not
	keyNotice      = 90 * 24 * time.Hour
	rollOverNotice = 180 * 24 * time.Hour
)

// Inspect compares the hierarchy with the calendar, and with the tokens that it
// is given.
func (i Inspection) Inspect(ctx context.Context) (Report, error) {
	r := Report{Lists: i.Lists, Problems: []string{}, Notes: []string{}}
	if len(i.Hierarchy) == 0 {
		r.problem("There is no certification authority yet: rubrica ca init.")
		return r, nil
	}
	for _, m := range i.Hierarchy {
		state, err := i.member(ctx, m)
		if err != nil {
			return r, err
		}
		i.judge(&r, m, &state)
		r.Members = append(r.Members, state)
	}
	i.demand(&r)
	i.judgeLists(&r)
	return r, i.judgeLog(ctx, &r)
}

func (r *Report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (i Inspection) member(ctx context.Context, m ca.Member) (MemberState, error) {
	c, err := m.Certificate()
	if err != nil {
		return MemberState{}, err
	}
	end, err := ca.KeyEnd(c)
	if err != nil {
		return MemberState{}, fmt.Errorf("certificate of %s: %w", m.Name, err)
	}
	s := MemberState{
		Name: m.Name, Role: m.Role, Issuer: m.Issuer, Subject: c.Subject.CommonName,
		Serial: fmt.Sprintf("%x", c.SerialNumber), SHA256: fmt.Sprintf("%x", sha256.Sum256(m.DER)),
		Algorithm: AlgorithmOf(c.PublicKey), Label: m.KeyLabel, Token: m.Token,
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, KeyEnd: end, DaysLeft: days(c.NotAfter.Sub(i.Now)),
		RetiredAt: m.RetiredAt, RevokedAt: m.RevokedAt, Reason: m.Reason,
	}
	s.Key, s.Token, err = i.key(ctx, m, c)
	return s, err
}

func days(d time.Duration) int { return int(d / (24 * time.Hour)) }

// key looks for a member's key where it is recorded and, of a root, where an
// officer may have moved it.
func (i Inspection) key(ctx context.Context, m ca.Member, c *x509.Certificate) (state, token string, err error) {
	state, token = KeyUnchecked, m.Token
	places := []struct {
		name string
		keys Token
	}{{ca.ServiceToken, i.Service}}
	if m.Role == ca.RoleRoot {
		places = append(places, struct {
			name string
			keys Token
		}{ca.RootToken, i.Root})
	}
	for _, p := range places {
		if p.keys == nil || m.Token == ca.RootToken && p.name == ca.ServiceToken {
			continue
		}
		_, err := keyOf(ctx, p.keys, m, c)
		switch {
		case err == nil:
			return KeyPresent, p.name, nil
		case errors.Is(err, errMissing):
			state = KeyMissing
		case errors.Is(err, ErrOtherKey):
			state = KeyOther
		default:
			return state, token, err
		}
	}
	return state, token, nil
}

// judge says what is wrong with one member.
func (i Inspection) judge(r *Report, m ca.Member, s *MemberState) {
	ended := !i.Now.Before(s.NotAfter)
	needed := !ended && m.RevokedAt.IsZero() && (m.RetiredAt.IsZero() || m.Role == ca.RoleIssuing)
	switch {
	case !needed || s.Key == KeyPresent || s.Key == KeyUnchecked:
	case s.Key == KeyOther:
		r.problem("The token's key %s is not that of the certificate of %s: another token than the one of the ceremony?", m.KeyLabel, m.Name)
	case m.Role == ca.RoleRoot && m.Token == ca.ServiceToken && i.Root == nil:
		r.note("The root's key is not in the service's token any more: name its own with --root-token-label to look for it.")
	default:
		r.problem("The key %s of %s is not in its token.", m.KeyLabel, m.Name)
	}
	left := s.NotAfter.Sub(i.Now)
	switch m.Role {
	case ca.RoleRoot:
		if s.Token == ca.ServiceToken {
			r.note("%s", RootOnline)
		}
		if left < 11*366*24*time.Hour {
			r.note("The root ends on %s: an issuing authority made now is cut short by it, and there is no rollover of a root. Plan another hierarchy.", day(s.NotAfter))
		}
	case ca.RoleIssuing:
		i.judgeIssuing(r, m, s)
	case ca.RoleOCSP:
		if needed && left < responderAlarm {
			r.problem("The certificate of %s ends on %s, and the signer has not renewed it: is it running? rubrica ca renew ocsp does it by hand.", m.Name, day(s.NotAfter))
		}
	case ca.RoleTSA:
		if use := s.KeyEnd.Sub(i.Now); needed && use < keyNotice {
			r.problem("The key of %s is used until %s: rubrica ca renew tsa.", m.Name, day(s.KeyEnd))
		}
	}
}

// judgeIssuing says when another one has to take over: while it can still
// certify for the whole time for which citizens' certificates are valid.
func (i Inspection) judgeIssuing(r *Report, m ca.Member, s *MemberState) {
	if current, ok := i.Hierarchy.Current(ca.RoleIssuing); !ok || current.Name != m.Name {
		return
	}
	s.RollOverBy = s.NotAfter.AddDate(-i.CitizenYears, 0, 0)
	switch left := s.RollOverBy.Sub(i.Now); {
	case left <= 0:
		r.problem("%s ends on %s, before the certificates of %d years that citizens get: they are cut short. rubrica ca rollover.", m.Name, day(s.NotAfter), i.CitizenYears)
	case left < rollOverNotice:
		r.problem("%s has to be succeeded before %s, or citizens' certificates are cut short: plan rubrica ca rollover.", m.Name, day(s.RollOverBy))
	}
}

// demand says who is missing.
func (i Inspection) demand(r *Report) {
	if _, there := i.Hierarchy.Current(ca.RoleIssuing); !there {
		r.problem("No issuing authority is in use: rubrica ca rollover makes another (rubrica ca init, if the first ceremony was interrupted).")
	}
	unit, there := i.Hierarchy.Current(ca.RoleTSA)
	if !there {
		r.problem("No time-stamping unit is in use: rubrica ca renew tsa (rubrica ca init, if there never was one).")
	}
	if issuer, _ := i.Hierarchy.Named(unit.Issuer); there && !issuer.RevokedAt.IsZero() {
		r.problem("%s is of %s, which is revoked: its time-stamps do not validate. rubrica ca renew tsa.", unit.Name, issuer.Name)
	}
	for _, m := range i.Hierarchy.Of(ca.RoleIssuing) {
		c, err := m.Certificate()
		if err != nil || !m.RevokedAt.IsZero() || !i.Now.Before(c.NotAfter) {
			continue
		}
		answers := slices.ContainsFunc(i.Hierarchy.Under(m.Name), func(s ca.Member) bool { return s.Role == ca.RoleOCSP && s.InUse() })
		if !answers {
			r.problem("Nobody answers for the certificates of %s: rubrica ca renew ocsp --of %s (rubrica ca init, if there never was one).", m.Name, m.Name)
		}
	}
}

func (i Inspection) judgeLists(r *Report) {
	for _, l := range i.Lists {
		left := l.NextUpdate.Sub(i.Now)
		switch {
		case l.Shard == string(ca.RoleRoot) && l.Number == 0:
			r.problem("The root has no revocation list: rubrica ca init.")
		case l.Shard == string(ca.RoleRoot) && left <= 0:
			r.problem("The root's list ended on %s, and validators may refuse everything: rubrica ca root-crl.", day(l.NextUpdate))
		case l.Shard == string(ca.RoleRoot) && left < rootListNotice:
			r.problem("The root's list ends on %s: rubrica ca root-crl, with the root's token.", day(l.NextUpdate))
		case l.Shard != string(ca.RoleRoot) && l.Number > 0 && left <= 0:
			r.problem("The list %s ended on %s, and the signer has made no other: is it running?", l.Shard, l.NextUpdate.UTC().Format(time.DateTime))
		}
	}
}

// judgeLog looks for the key of the log's checkpoints, which has no certificate.
func (i Inspection) judgeLog(ctx context.Context, r *Report) error {
	if i.Service == nil {
		return nil
	}
	there, err := i.Service.Exists(ctx, CheckpointKey)
	if err != nil {
		return fmt.Errorf("looking for %s: %w", CheckpointKey, err)
	}
	if !there {
		r.problem("The token has no key %s, and the log cannot be published: rubrica ca init.", CheckpointKey)
	}
	former, err := i.Service.Exists(ctx, formerLogKey)
	if err != nil {
		return fmt.Errorf("looking for %s: %w", formerLogKey, err)
	}
	if former {
		r.note("%s", LogKeyUnused)
	}
	return nil
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
