package citizen

import (
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// What an office's desk reads of citizens. All of it is shown and none of it is
// believed: what an officer asks for is decided where the records are checked.

// Question is what an officer looks somebody up by: one of them.
type Question struct {
	Identifier string
	Phone      string // E.164
	// Name is the beginning of given names and surnames, in either order; marks
	// and capitals do not matter.
	Name string
}

// Match is a person that a search found.
type Match struct {
	ID         string
	Identifier string
	GivenName  string
	Surnames   string
	Status     signer.CitizenStatus
}

// File is what the desk knows of a citizen.
type File struct {
	signer.Citizen

	// Proofs are the acts that proved the identity, the newest first.
	Proofs []Proof
	// Issued are the certificates that there were, the newest first.
	Issued []Issued
	// Password is when the present one was chosen, zero if there is none.
	Password  time.Time
	Incidents []Case
	Orders    []DeskOrder // that wait for a second officer
	// Past are the newest entries of the log about the registration.
	Past []audit.Record
}

// Proof is one act that proved an identity.
type Proof struct {
	signer.Registration

	Evidence []byte // JSON
}

// Issued is a certificate that was issued to a citizen.
type Issued struct {
	signer.Certificate

	Issuer string
	Live   bool // its key is there
}

// Facts are what the rules decide by.
func (f File) Facts(now time.Time) policies.Facts {
	var k *signer.Credential
	if !f.Password.IsZero() {
		k = &signer.Credential{State: signer.Empty}
		for _, i := range f.Issued {
			if i.Live {
				k.State, k.Certificate = signer.Usable, &i.Certificate
				break
			}
		}
	}
	return signer.Facts(f.Citizen, k, now)
}

// Case is something that a citizen says not to have done.
type Case struct {
	ID         string
	CitizenID  string
	Identifier string
	Name       string
	RequestID  string // of the signature, empty if it is about none
	Said       string // in the citizen's words
	OpenedAt   time.Time
	ClosedAt   time.Time // zero while it is open
	ClosedBy   string
	Outcome    string
}

// OrderState is where an order stands.
type OrderState string

// The states of an order.
const (
	OrderWaiting   OrderState = "waiting"
	OrderConfirmed OrderState = "confirmed"
	OrderRejected  OrderState = "rejected"
)

// ActMassRevocation names an order to revoke the certificates of several
// people. It is no act: each of them has one of its own.
const ActMassRevocation ActKind = "mass_revocation"

// DeskOrder is a dangerous act that waits, or has waited, for a second officer.
type DeskOrder struct {
	ID     string
	Office string
	Act    ActKind
	// Identifiers are whom it is about.
	Identifiers []string
	Phone       string // the new one, of a change of mobile
	CRLWord     string // the reason of a revocation, as acts spell it
	Reason      string // in the officer's words
	AskedBy     string // id of the officer
	AskedName   string
	AskedAt     time.Time
	ExpiresAt   time.Time
	State       OrderState
	DecidedBy   string
	DecidedName string
	DecidedAt   time.Time
	// Outcome says of each identifier of a confirmed order what became of it:
	// Done, or the code of a refusal. Of those that are missing, nobody knows.
	Outcome map[string]string
}

// Done is the outcome of an act that was carried out.
const Done = "done"

// Missing are the identifiers of a confirmed order whose outcome is not known.
func (o DeskOrder) Missing() []string {
	var missing []string
	for _, id := range o.Identifiers {
		if o.Outcome[id] == "" {
			missing = append(missing, id)
		}
	}
	return missing
}

// VideoState is where a recording stands.
type VideoState string

// The states of a recording.
const (
	VideoPending  VideoState = "pending"
	VideoApproved VideoState = "approved"
	VideoRejected VideoState = "rejected"
)

// Video is a video identification that an officer has to look at. The recording
// stays with the provider.
type Video struct {
	ID           string
	Provider     string // client id
	ProviderName string
	Office       string // whose officers look at it
	Person       VideoPerson
	Evidence     VideoEvidence
	ReceivedAt   time.Time
	State        VideoState
	DecidedBy    string
	DecidedAt    time.Time
	Reason       string // why it was rejected, in the officer's words
}

// VideoPerson is what the person said and showed, as the provider read it.
type VideoPerson struct {
	Identifier    string `json:"identifier"`
	GivenName     string `json:"given_name"`
	Surnames      string `json:"surnames"`
	Phone         string `json:"phone"`
	Email         string `json:"email"`
	DocumentUntil string `json:"document_until"`
	Locale        string `json:"locale"`
}

// VideoEvidence is where the recording is, and what it was when it was made.
type VideoEvidence struct {
	Recording  string    `json:"recording"` // the provider's reference
	SHA256     string    `json:"sha256"`    // of the recording, lower-case hexadecimal
	RecordedAt time.Time `json:"recorded_at"`
	URL        string    `json:"url,omitempty"` // where officers watch it
	// Checks are what the provider found, in its own words: liveness, the
	// document's security features.
	Checks map[string]string `json:"checks,omitempty"`
}

// VideoOutcome is who was registered with a recording as evidence.
type VideoOutcome struct {
	CitizenID    string // empty: nobody
	Status       signer.CitizenStatus
	RegisteredAt time.Time
}

// Turn is the right to decide about an order or a recording, and to carry out
// what was decided. One officer has it at a time; a turn that nobody ends, as
// after a crash, ends by itself.
type Turn struct {
	Subject string // id of the order or recording
	Holder  string // drawn anew for each turn
	// Now is when it is taken or prolonged, Until when it ends.
	Now, Until time.Time
}

// Waiting is a letter that nobody has printed yet.
type Waiting struct {
	ID          string
	Identifier  string
	RequestedAt time.Time
}

// Queues are how many of each wait for an officer.
type Queues struct {
	Orders, Videos, Incidents, Letters int
}
