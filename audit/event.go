package audit

// EventType names what happened. The list is closed; a type once written keeps
// its meaning.
type EventType string

// Registration and activation.
const (
	RegistrationCreated  EventType = "registration.created"
	ActivationCodeIssued EventType = "activation.code_issued"
	ActivationFailed     EventType = "activation.failed"
	ActivationBlocked    EventType = "activation.blocked"
	ActivationDone       EventType = "activation.done"
	PasswordSet          EventType = "password.set"
	PasswordChanged      EventType = "password.changed" // with the old one
	CitizenBlocked       EventType = "citizen.blocked"
	CitizenUnblocked     EventType = "citizen.unblocked"
	CitizenDeregistered  EventType = "citizen.deregistered"
	CitizenDeceased      EventType = "citizen.deceased"
	CitizenReminded      EventType = "citizen.reminded" // that a certificate or the registration is going to end
	// CitizenSealed names the version at which a citizen's record stands; the
	// newest one is the one that counts.
	CitizenSealed     EventType = "citizen.sealed"
	CitizenSealBroken EventType = "citizen.seal_broken" // a record that nobody of this service wrote, or not last
	OfficeActRefused  EventType = "office.act_refused"
)

// Authentication. A factor that succeeds or fails is an event of its own.
const (
	AuthSucceeded  EventType = "auth.succeeded"
	AuthFailed     EventType = "auth.failed"
	AuthLocked     EventType = "auth.locked"
	AuthPaused     EventType = "auth.paused"  // not compared: too many failures lately
	AuthExpired    EventType = "auth.expired" // the password was right, and too old
	CodeSent       EventType = "code.sent"
	CodeSendFailed EventType = "code.send_failed"
	CodeFailed     EventType = "code.failed"
	CodeExpired    EventType = "code.expired"
	CodeExhausted  EventType = "code.exhausted"
)

// Certificates and keys. A certificate's intent has one outcome: issued or
// interrupted.
const (
	CertificateIntent      EventType = "certificate.intent"
	CertificateIssued      EventType = "certificate.issued"
	CertificateRefused     EventType = "certificate.refused" // by policy
	CertificateInterrupted EventType = "certificate.interrupted"
	CertificateRevoked     EventType = "certificate.revoked"
	CertificateSuspended   EventType = "certificate.suspended"
	CertificateReleased    EventType = "certificate.released"
	KeyRevoked             EventType = "key.revoked" // asked by office or citizen; certificates and keys follow
	KeySuspended           EventType = "key.suspended"
	KeyReleased            EventType = "key.released"
	KeyGenerated           EventType = "key.generated"
	KeyDestroyed           EventType = "key.destroyed"
	KeyResealed            EventType = "key.resealed" // under newer keys of the token, or at another cost
	KeyEpochBegun          EventType = "key.epoch_begun"
	KeyEpochDestroyed      EventType = "key.epoch_destroyed"
	KeeperChanged          EventType = "key.keeper_changed"
)

// Signatures. An intent has one outcome: done, failed or interrupted.
const (
	SignRequested   EventType = "sign.requested"
	SignShown       EventType = "sign.shown"
	SignAuthorised  EventType = "sign.authorised" // both factors passed, over exactly these hashes
	SignIntent      EventType = "sign.intent"
	SignDone        EventType = "sign.done"
	SignInterrupted EventType = "sign.interrupted"
	SignFailed      EventType = "sign.failed"
	SignRefused     EventType = "sign.refused" // by the citizen
	SignExpired     EventType = "sign.expired"
	SignDenied      EventType = "sign.denied" // by policy
)

// The service.
const (
	ApplicationAdded EventType = "application.added"
	KeyCeremony      EventType = "key.ceremony" // one step of a ceremony
	AuthorityIntent  EventType = "authority.intent"
	AuthorityIssued  EventType = "authority.issued" // a certificate of the hierarchy or of a service
	AuthorityRevoked EventType = "authority.revoked"
	ClockFault       EventType = "clock.fault"   // not trusted any more: nothing is issued, stamped or published
	ClockTrusted     EventType = "clock.trusted" // again
	ServiceStarted   EventType = "service.started"
	ServiceStopped   EventType = "service.stopped"
)

// EventTypes is the closed list.
func EventTypes() []EventType {
	return []EventType{
		RegistrationCreated, ActivationCodeIssued, ActivationFailed, ActivationBlocked, ActivationDone, PasswordSet, PasswordChanged,
		CitizenBlocked, CitizenUnblocked, CitizenDeregistered, CitizenDeceased, CitizenReminded, CitizenSealed, CitizenSealBroken, OfficeActRefused,
		AuthSucceeded, AuthFailed, AuthLocked, AuthPaused, AuthExpired, CodeSent, CodeSendFailed, CodeFailed, CodeExpired, CodeExhausted,
		CertificateIntent, CertificateIssued, CertificateRefused, CertificateInterrupted, CertificateRevoked,
		CertificateSuspended, CertificateReleased, KeyRevoked, KeySuspended, KeyReleased,
		KeyGenerated, KeyDestroyed, KeyResealed, KeyEpochBegun, KeyEpochDestroyed, KeeperChanged,
		SignRequested, SignShown, SignAuthorised, SignIntent, SignDone, SignInterrupted, SignFailed, SignRefused, SignExpired, SignDenied,
		ApplicationAdded, KeyCeremony, AuthorityIntent, AuthorityIssued, AuthorityRevoked, ClockFault, ClockTrusted, ServiceStarted, ServiceStopped,
	}
}
