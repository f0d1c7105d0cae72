package signer

import (
	"time"

	"github.com/rubrica-firma/rubrica/policies"
)

// facts are what an entry of the log says; package audit has a schema of each.
type facts = map[string]any

// matter is what an entry belongs to: a request, or a citizen's own affair.
type matter struct {
	operation   string
	application string
	documents   []facts
}

// matter is the request with its documents.
func (r Request) matter() matter {
	return matter{operation: r.ID, application: r.Application.ID, documents: r.tell(Document.identified)}
}

// facts adds what there is of a matter.
func (m matter) facts(f facts) facts {
	if m.application != "" {
		f["application"] = m.application
	}
	if m.documents != nil {
		f["documents"] = m.documents
	}
	return f
}

// asked are the facts that name the application, where there is one.
func asked(application string, f facts) facts { return matter{application: application}.facts(f) }

// tell are a request's documents as an entry names them.
func (r Request) tell(of func(Document) facts) []facts {
	out := make([]facts, len(r.Documents))
	for i, d := range r.Documents {
		out[i] = of(d)
	}
	return out
}

// identified names a document by its own hash, where it has come itself.
func (d Document) identified() facts {
	if d.Given != nil {
		return facts{"ordinal": d.Ordinal}
	}
	return facts{"ordinal": d.Ordinal, "sha256": hexOf(d.SHA256)}
}

// wished is what is asked for.
func (d Document) wished() facts {
	f := d.identified()
	f["format"], f["level"] = string(d.Format), string(d.Level)
	if d.Attributes != (Attributes{}) {
		f["attributes"] = d.Attributes
	}
	return f
}

func (d Document) arrived() facts {
	f := d.wished()
	f["name"] = d.Name
	if d.Given != nil {
		f["hash"], f["digest"] = d.Hash, hexOf(d.Given)
		return f
	}
	f["media_type"], f["bytes"] = d.MediaType, d.Size
	if d.Pages > 0 {
		f["pages"] = d.Pages
	}
	if len(d.Findings) > 0 {
		f["findings"] = d.Findings
	}
	return f
}

// fixed is what is going to be signed.
func (d Document) fixed() facts {
	f := d.wished()
	f["hash"], f["digest"], f["signing_time"] = d.Hash, hexOf(d.Digest), d.SigningTime.UTC().Format(time.RFC3339)
	return f
}

func (d Document) shown() facts {
	f := d.fixed()
	f["name"] = d.Name
	if d.Pages > 0 {
		f["pages"] = d.Pages
	}
	return f
}

func (d Document) signed() facts {
	f := d.identified()
	f["digest"] = hexOf(d.Digest)
	return f
}

// opened is when the page was opened that shows the documents: the earliest of
// their signing times.
func (r Request) opened() time.Time {
	var first time.Time
	for _, d := range r.Documents {
		if first.IsZero() || d.SigningTime.Before(first) {
			first = d.SigningTime
		}
	}
	return first
}

// facts are the consent, and the key that it is for.
func (a Authorisation) facts(k Credential) facts {
	f := k.place()
	f["application"], f["authorisation"] = a.ApplicationID, a.ID
	f["serial"], f["certificate_sha256"] = a.Serial, hexOf(a.Certificate)
	f["credential"], f["generation"] = a.CredentialID, a.Generation
	return f
}

// place is where a key is kept.
func (c Credential) place() facts {
	f := facts{"algorithm": c.Algorithm, "keeper": string(c.Keeper), "kek": c.KEK}
	if c.KeyLabel != "" {
		f["label"] = c.KeyLabel
	}
	return f
}

// facts are the registration that a decision relies on.
func (r Registration) facts() facts {
	return facts{"mode": r.Mode, "level": r.Level, "assured_at": r.AssuredAt.UTC().Format(time.DateOnly)}
}

// facts are a one-time code, without the code.
func (ch ChallengeRow) facts() facts {
	f := asked(ch.Application, facts{"purpose": string(ch.Purpose), "phone": MaskPhone(ch.Phone)})
	if ch.ID != "" {
		f["challenge"] = ch.ID
	}
	return f
}

// errand is whether an application has asked for what the code is for, without a
// request.
func (ch ChallengeRow) errand() bool { return ch.RequestID == "" && ch.Application != "" }

// refused adds a try that was not the right one.
func (ch ChallengeRow) refused(code policies.Code) facts {
	f := ch.facts()
	f["reason"] = string(code)
	if code != policies.CodeExpired {
		f["attempt"] = ch.Attempts
	}
	return f
}

// Passed are the facts of auth.succeeded, once the right code was typed.
func (ch ChallengeRow) Passed(now time.Time) map[string]any {
	f := ch.facts()
	f["factor"], f["attempts"], f["seconds"] = "possession", ch.Attempts, whole(ch.CreatedAt, now)
	return f
}

// proofs are both factors, each with its time.
func proofs(t TicketRow, ch ChallengeRow, now time.Time) []facts {
	return []facts{
		{"factor": "knowledge", "outcome": "passed", "at": instant(t.IdentifiedAt)},
		{
			"factor": "possession", "outcome": "passed", "at": instant(now), "challenge": ch.ID, "phone": MaskPhone(ch.Phone),
			"attempts": ch.Attempts, "seconds": whole(ch.CreatedAt, now),
		},
	}
}

// whole are the seconds between two moments.
func whole(from, to time.Time) int {
	return max(0, int(to.Sub(from)/time.Second))
}

// certificate adds the certificate, and the registration that it rests on.
func (i Issuance) certificate(c Citizen, f facts) facts {
	crt := i.Credential.Certificate
	f["serial"], f["issuer"], f["credential"] = crt.Serial, i.Place.Issuer, i.Credential.ID
	f["not_before"], f["not_after"] = crt.NotBefore.UTC().Format(time.RFC3339), crt.NotAfter.UTC().Format(time.RFC3339)
	f["registration"] = c.Registration.facts()
	return asked(i.Application, f)
}

// key are the facts of the key that was made.
func (i Issuance) key() facts {
	k := i.Credential
	f := k.place()
	f["credential"], f["generation"], f["key_sha256"] = k.ID, k.Generation, fingerprint(k.PublicKey)
	return asked(i.Application, f)
}
