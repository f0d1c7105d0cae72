package verify

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/rubrica-firma/rubrica/signer/cades"
)

// Report is what a validation says of a document. Its JSON names are stable.
type Report struct {
	Name   string `json:"document,omitempty"`
	Format string `json:"format"` // pdf or cms
	Size   int64  `json:"size"`
	// Time is when, or as of when, was validated.
	Time       time.Time `json:"validation_time"`
	Algorithms string    `json:"algorithm_policy"`
	// Conclusion is the worst of the signatures'; without any it is
	// INDETERMINATE.
	Conclusion
	Signatures []*Signature `json:"signatures"`
	// TimeStamps are those of the whole document, of a PDF.
	TimeStamps []*TimeStamp `json:"document_time_stamps,omitempty"`
	Warnings   []string     `json:"warnings,omitempty"`
}

// Signature is what is found about one.
type Signature struct {
	Number int    `json:"number"` // from 1
	Format string `json:"format"` // PAdES, CAdES, or what else it is
	Conclusion
	// Level is the baseline level that it has by what was validated, Structure
	// the one that it looks like. Empty is none.
	Level     cades.Level `json:"level"`
	Structure cades.Level `json:"structure"`
	Signer    *Party      `json:"signer,omitempty"`
	// ClaimedTime is what the signer says, and nobody vouches for.
	ClaimedTime time.Time `json:"claimed_time,omitzero"`
	// BestTime is the earliest time at which the signature is proved to have
	// existed (EN 319 102-1, 5.5): that of validation, if nothing else is.
	BestTime  time.Time `json:"best_signature_time"`
	Proved    bool      `json:"time_is_proved"`
	Algorithm Algorithm `json:"algorithm"`
	// Policy is the signature policy's identifier, Commitment the type.
	Policy     string        `json:"signature_policy,omitempty"`
	Commitment string        `json:"commitment_type,omitempty"`
	Chain      []Certificate `json:"chain"`
	TimeStamps []*TimeStamp  `json:"time_stamps,omitempty"`
	// CounterSignatures are signatures over this one's value.
	CounterSignatures []*Signature `json:"counter_signatures,omitempty"`
	PDF               *Placement   `json:"pdf,omitempty"`
	Warnings          []string     `json:"warnings,omitempty"`
}

// TimeStamp is what is found about a time-stamp.
type TimeStamp struct {
	Kind string `json:"kind"` // content-time-stamp, signature-time-stamp, archive-time-stamp-v3, document-time-stamp
	Conclusion
	Time      time.Time     `json:"time,omitzero"` // genTime
	Authority *Party        `json:"authority,omitempty"`
	Policy    string        `json:"policy,omitempty"`
	Imprint   string        `json:"imprint_algorithm,omitempty"`
	Algorithm Algorithm     `json:"algorithm"`
	Chain     []Certificate `json:"chain,omitempty"`
	PDF       *Placement    `json:"pdf,omitempty"`
}

// Party is who signed.
type Party struct {
	Name         string `json:"name"`
	Identifier   string `json:"identifier,omitempty"` // serialNumber of the subject (EN 319 412-1, 5.1.3)
	Organisation string `json:"organisation,omitempty"`
	Subject      string `json:"subject"`
}

// Algorithm is how was signed.
type Algorithm struct {
	Digest string `json:"digest,omitempty"`
	Scheme string `json:"scheme,omitempty"`
	Key    string `json:"key,omitempty"`
	Bits   int    `json:"bits,omitempty"`
}

// Certificate is one of a path.
type Certificate struct {
	Subject    string      `json:"subject"`
	Issuer     string      `json:"issuer"`
	Serial     string      `json:"serial"`
	NotBefore  time.Time   `json:"not_before"`
	NotAfter   time.Time   `json:"not_after"`
	SHA256     string      `json:"sha256"`
	Origin     string      `json:"origin"`
	Anchor     bool        `json:"trust_anchor"`
	Revocation *Revocation `json:"revocation,omitempty"`
}

// Placement is where in a PDF a signature is, and what came after it.
type Placement struct {
	Field     string `json:"field"`
	SubFilter string `json:"sub_filter"`
	Reason    string `json:"reason,omitempty"`
	Location  string `json:"location,omitempty"`
	Page      int    `json:"page,omitempty"` // 0: it is not shown
	// Revision counts from 1; Revisions is how many the file has.
	Revision  int `json:"revision"`
	Revisions int `json:"revisions"`
	// Certifies is whether it is a certification signature; Permission then says
	// what may change (P of ISO 32000-2, table 257).
	Certifies  bool `json:"certifies"`
	Permission int  `json:"permission,omitempty"`
	// Changes is what was changed after it. What is not permitted makes the
	// signature a FORMAT_FAILURE.
	Changes []Change `json:"changes_since,omitempty"`
}

// Change is something that was changed after a signature, as signer/inspect
// names and judges it.
type Change struct {
	What      string `json:"what"`
	Where     string `json:"where,omitempty"`
	Judgement string `json:"judgement"` // permitted, suspect or forbidden
}

// conclude sums up.
func (r *Report) conclude() {
	if len(r.Signatures) == 0 {
		r.Conclusion = *indeterminate(SignedDataNotFound, "the document has no signature")
		return
	}
	r.Conclusion = passed()
	take := func(c Conclusion, what string) {
		if r.Indication.worse(c.Indication) != r.Indication {
			r.Conclusion = c
			r.Reason = what + ": " + c.Reason
		}
	}
	for _, s := range r.Signatures {
		take(s.Conclusion, fmt.Sprintf("signature %d", s.Number))
	}
	for _, t := range r.TimeStamps {
		if t.Indication == Failed {
			take(t.Conclusion, "document time-stamp")
		}
	}
}

func party(c *x509.Certificate) *Party {
	p := &Party{Name: name(c), Identifier: c.Subject.SerialNumber, Subject: c.Subject.String()}
	if len(c.Subject.Organization) > 0 {
		p.Organisation = c.Subject.Organization[0]
	}
	return p
}

// chain tells of a path.
func (v *validation) chain(d verdict) []Certificate {
	out := make([]Certificate, 0, len(d.path))
	for i, c := range d.path {
		sum := sha256.Sum256(c.Raw)
		one := Certificate{
			Subject: c.Subject.String(), Issuer: c.Issuer.String(), Serial: hex.EncodeToString(c.SerialNumber.Bytes()),
			NotBefore: c.NotBefore, NotAfter: c.NotAfter, SHA256: hex.EncodeToString(sum[:]),
			Origin: string(v.pool.originOf(c.Raw)), Anchor: v.pool.isAnchor(c),
		}
		if i < len(d.revocation) {
			one.Revocation = d.revocation[i]
		}
		out = append(out, one)
	}
	return out
}
