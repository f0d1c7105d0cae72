package audit

// EventType names what happened. The list is closed; a type once written keeps
// its meaning. Schemas say what an entry of each holds.
type EventType string

// Registration and activation.
const (
	RegistrationCreated   EventType = "registration.created"
	IdentityProved        EventType = "identity.proved" // of somebody who is registered: the level or its date is another one
	ActivationCodeIssued  EventType = "activation.code_issued"
	ActivationFailed      EventType = "activation.failed"
	ActivationBlocked     EventType = "activation.blocked"
	ActivationDone        EventType = "activation.done"
	PasswordSet           EventType = "password.set"
	PasswordChanged       EventType = "password.changed" // with the old one
	PhoneChanged          EventType = "phone.changed"
	MailChanged           EventType = "mail.changed"
	CitizenBlocked        EventType = "citizen.blocked"
	CitizenUnblocked      EventType = "citizen.unblocked"
	CitizenDeregistered   EventType = "citizen.deregistered"
	CitizenDeceased       EventType = "citizen.deceased"
	CitizenDeathCorrected EventType = "citizen.death_corrected"
	CitizenReminded       EventType = "citizen.reminded" // that a certificate or the registration is going to end
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
	SignWithdrawn   EventType = "sign.withdrawn" // its envelope has ended, or its factors were wrong
	SignDenied      EventType = "sign.denied"    // by policy
)

// The service.
const (
	ApplicationAdded EventType = "application.added"
	OfficeAdded      EventType = "office.added"
	KeyCeremony      EventType = "key.ceremony" // one step of a ceremony
	AuthorityIntent  EventType = "authority.intent"
	AuthorityIssued  EventType = "authority.issued" // a certificate of the hierarchy or of a service
	AuthorityRevoked EventType = "authority.revoked"
	ClockFault       EventType = "clock.fault"   // not trusted any more: nothing is issued, stamped or published
	ClockTrusted     EventType = "clock.trusted" // again
	ServiceStarted   EventType = "service.started"
	ServiceStopped   EventType = "service.stopped"
	ConfigChanged    EventType = "config.changed" // since the last start
)

// The log itself, and those who ask it.
const (
	LogSuspended       EventType = "log.suspended" // behind what witnesses saw, or another: nothing is signed
	LogResumed         EventType = "log.resumed"
	LogRecovered       EventType = "log.recovered" // after entries were lost, by an operator
	LogErased          EventType = "log.erased"    // payloads and salts of entries; the tree stays whole
	AuditQueried       EventType = "audit.queried"
	AuditExported      EventType = "audit.exported"
	AuditorAdded       EventType = "auditor.added"
	AuditorInvited     EventType = "auditor.invited" // to add a passkey
	AuditorDisabled    EventType = "auditor.disabled"
	AuditorEnrolled    EventType = "auditor.enrolled" // with a passkey or a certificate
	AuditorLoggedIn    EventType = "auditor.logged_in"
	AuditorLoginFailed EventType = "auditor.login_failed"
)

// EventTypes is the closed list.
func EventTypes() []EventType {
	types := make([]EventType, 0, len(knownSchemas().list))
	for _, s := range knownSchemas().list {
		types = append(types, s.Type)
	}
	return types
}

// Known is whether a type is in the closed list.
func (t EventType) Known() bool {
	_, known := knownSchemas().byType[t]
	return known
}
