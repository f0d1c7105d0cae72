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
)

// Authentication. A factor that succeeds or fails is an event of its own.
const (
	AuthSucceeded  EventType = "auth.succeeded"
	AuthFailed     EventType = "auth.failed"
	AuthLocked     EventType = "auth.locked"
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
	KeyGenerated           EventType = "key.generated"
	KeyDestroyed           EventType = "key.destroyed"
)

// Signatures. An intent has one outcome: done, failed or interrupted.
const (
	SignRequested   EventType = "sign.requested"
	SignShown       EventType = "sign.shown"
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
	KeyCeremony      EventType = "key.ceremony"
	ServiceStarted   EventType = "service.started"
	ServiceStopped   EventType = "service.stopped"
)

// EventTypes is the closed list.
func EventTypes() []EventType {
	return []EventType{
		RegistrationCreated, ActivationCodeIssued, ActivationFailed, ActivationBlocked, ActivationDone, PasswordSet,
		AuthSucceeded, AuthFailed, AuthLocked, CodeSent, CodeSendFailed, CodeFailed, CodeExpired, CodeExhausted,
		CertificateIntent, CertificateIssued, CertificateRefused, CertificateInterrupted, CertificateRevoked,
		KeyGenerated, KeyDestroyed,
		SignRequested, SignShown, SignIntent, SignDone, SignInterrupted, SignFailed, SignRefused, SignExpired, SignDenied,
		ApplicationAdded, KeyCeremony, ServiceStarted, ServiceStopped,
	}
}
