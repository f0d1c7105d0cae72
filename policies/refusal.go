package policies

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Code names one way in which Rúbrica says no. Codes are stable: they stand in
// API answers, in the log and in the message catalogue, and a code once
// published keeps its meaning.
type Code string

// Identity and registration.
const (
	IdentifierInvalid      Code = "identifier_invalid"       // a DNI or NIE that does not parse, or whose check letter is wrong
	IdentityDocumentExpiry Code = "identity_document_expiry" // the validity date of the DNI or NIE is past, missing or unreadable
	NameInvalid            Code = "name_invalid"
	PhoneInvalid           Code = "phone_invalid" // not a Spanish mobile number
	PhoneTaken             Code = "phone_taken"   // one DNI/NIE per mobile
	EmailInvalid           Code = "email_invalid"
	CitizenExists          Code = "citizen_exists"
	CitizenUnknown         Code = "citizen_unknown" // told to offices and applications only, never to an anonymous visitor
	CitizenInactive        Code = "citizen_inactive"
	CitizenDeregistered    Code = "citizen_deregistered"
	CitizenDeceased        Code = "citizen_deceased"       // an office's to read; everybody else meets a stranger
	RegistrationInPerson   Code = "registration_in_person" // not on line, and not why
	CitizenBlocked         Code = "citizen_blocked"        // by an office or by the citizen, until an office lifts it
	RecordTampered         Code = "record_tampered"        // the stored record is not the one that this service wrote last
	OfficeActInvalid       Code = "office_act_invalid"     // not signed by the office, not for this service, or out of its time
	OfficeActRepeated      Code = "office_act_repeated"
)

// Activation, password and session.
const (
	ActivationMismatch Code = "activation_mismatch" // DNI, e-mail and activation code do not belong together; says no more than that
	ActivationBlocked  Code = "activation_blocked"
	PasswordWeak       Code = "password_weak"
	PasswordMismatch   Code = "password_mismatch" // the repetition differs
	CredentialsWrong   Code = "credentials_wrong" // unknown citizen and wrong password alike
	PasswordLocked     Code = "password_locked"
	PasswordPaused     Code = "password_paused"  // too many wrong ones lately: RetryAfter says how long to wait
	PasswordExpired    Code = "password_expired" // right, but too old to be used for anything but its change
	SessionExpired     Code = "session_expired"
	NotTheSigner       Code = "not_the_signer" // identified, but the request is for somebody else
)

// One-time codes.
const (
	CodeMalformed Code = "code_malformed" // not eight digits; costs no try
	CodeWrong     Code = "code_wrong"
	CodeExpired   Code = "code_expired"
	CodeUsed      Code = "code_used"
	CodeExhausted Code = "code_exhausted" // the tries of this code are used up
	CodeTooSoon   Code = "code_too_soon"
	CodeTooMany   Code = "code_too_many" // codes an hour
	SMSFailed     Code = "sms_failed"
)

// Certificates.
const (
	RegistrationTooOld    Code = "registration_too_old"
	RegistrationTelematic Code = "registration_telematic" // made on line with a certificate: the stricter reading of the five-year rule
	RegistrationLevel     Code = "registration_level"
	CredentialExists      Code = "credential_exists"
	CredentialMissing     Code = "credential_missing"
	CertificateExpired    Code = "certificate_expired"
	CertificateRevoked    Code = "certificate_revoked"
	CertificateSuspended  Code = "certificate_suspended" // until it is released or revoked
	CertificateInForce    Code = "certificate_in_force"  // and therefore nothing to release
	RenewalTooEarly       Code = "renewal_too_early"     // the certificate is not in its last days yet
	RegistrationEnding    Code = "registration_ending"   // a renewed certificate would end no later than the present one
)

// Authorisations.
const (
	AuthorisationInvalid Code = "authorisation_invalid" // unknown, spent, void, or not what was consented to
	AuthorisationExpired Code = "authorisation_expired"
	DigestRefused        Code = "digest_refused" // hash algorithm not allowed, or of another length
)

// Higher levels of signatures that are made.
const (
	TimeStampUnavailable Code = "time_stamp_unavailable" // no authority gave one that holds
	EvidenceUnavailable  Code = "evidence_unavailable"   // certificates or revocation data are missing
	LevelUnreachable     Code = "level_unreachable"      // what is missing will never be there
)

// Documents.
const (
	DocumentEmpty       Code = "document_empty"
	DocumentTooLarge    Code = "document_too_large"
	DocumentNotPDF      Code = "document_not_pdf"
	DocumentDamaged     Code = "document_damaged"
	VerificationFormat  Code = "verification_format" // neither a PDF nor a CMS signature
	DocumentEncrypted   Code = "document_encrypted"
	DocumentCertified   Code = "document_certified" // a DocMDP signature forbids further changes
	DocumentUnsupported Code = "document_unsupported"
	DocumentTooComplex  Code = "document_too_complex" // the document worker met its limits
	DocumentUnsafe      Code = "document_unsafe"      // something in it may show otherwise than it was seen; the reason is a FindingCode
	DocumentChanged     Code = "document_changed"     // it is not the one that was prepared
	FieldUnknown        Code = "signature_field_unknown"
	StampInvalid        Code = "stamp_invalid" // no such page, or no room where the stamp is to stand
	UploadUnknown       Code = "upload_unknown"
)

// Requests and applications.
const (
	RequestMalformed      Code = "request_malformed"
	RequestUnknown        Code = "request_unknown"
	RequestState          Code = "request_state" // not possible in the state that the request is in
	RequestExpired        Code = "request_expired"
	RequestTooManyDocs    Code = "request_too_many_documents"
	ReturnAddressUnknown  Code = "return_address_unknown"
	IdempotencyKeyMissing Code = "idempotency_key_missing"
	IdempotencyKeyReused  Code = "idempotency_key_reused" // the same key with another body
	ApplicationUnknown    Code = "application_unknown"
	ScopeMissing          Code = "scope_missing"
	DoorNotAllowed        Code = "door_not_allowed" // to this application; as the next two
	FormatNotAllowed      Code = "format_not_allowed"
	LevelNotAllowed       Code = "level_not_allowed"
	NotFound              Code = "not_found"
	MethodNotAllowed      Code = "method_not_allowed"
	RateLimited           Code = "rate_limited"
)

// The citizen's life: other ways to register, to prove an identity and to leave.
const (
	CertificateUnreadable Code = "certificate_unreadable" // it names no DNI or NIE of a natural person
	CertificateUntrusted  Code = "certificate_untrusted"  // of no authority of the trust list, expired, revoked, or for another use; the reason says which
	RevocationUnknown     Code = "revocation_unknown"     // neither OCSP nor a list could tell whether a certificate is revoked
	DNIeRequired          Code = "dnie_required"          // no other certificate will do
	IdentityMismatch      Code = "identity_mismatch"      // a certificate of somebody else than the person it is shown for
	AssociationExists     Code = "association_exists"     // the profile has a certificate, or the certificate is in another profile
	AssociationMissing    Code = "association_missing"
	PhoneChangedRecently  Code = "phone_changed_recently" // for a while nothing is issued and no password is set anew
	PhoneRefused          Code = "phone_refused"          // a number outside the ranges that the deployment sends messages to
	LetterMismatch        Code = "letter_mismatch"        // DNI and CSV do not belong together; says no more than that
	LetterBlocked         Code = "letter_blocked"         // too many wrong tries
	IBANInvalid           Code = "iban_invalid"
	RegisterUnavailable   Code = "register_unavailable"  // the register of accounts and addresses does not answer
	AccessKeyInvalid      Code = "access_key_invalid"    // not four characters
	PINMismatch           Code = "pin_mismatch"          // unknown citizen, other key and wrong PIN alike
	CardMismatch          Code = "card_mismatch"         // unknown card, wrong PIN and wrong operations key alike
	CardBlocked           Code = "card_blocked"          // too many wrong tries
	LinkInvalid           Code = "link_invalid"          // unknown, followed already, or expired
	ReasonMissing         Code = "reason_missing"        // an officer has to say why
	SecondOfficerNeeded   Code = "second_officer_needed" // the same officer cannot confirm
	DeskTaken             Code = "desk_taken"            // somebody else at the desk is deciding it, or has
	OfficerRefused        Code = "officer_refused"       // unknown, disabled, not proved: which one, the log is told
)

// The signature log.
const (
	LogSuspended      Code = "log_suspended" // it is behind what witnesses saw, or another: nothing is signed
	ReceiptPending    Code = "receipt_pending"
	CheckpointMissing Code = "checkpoint_missing" // none that is witnessed covers what is to be proved
	QueryInvalid      Code = "query_invalid"
	RangeImpossible   Code = "range_impossible"
	PurposeMissing    Code = "purpose_missing"
	AuditorRefused    Code = "auditor_refused"    // unknown, disabled, not proved: which one, the log is told
	InvitationInvalid Code = "invitation_invalid" // unknown, used or expired
	RoleMissing       Code = "role_missing"       // an auditor manages nothing, an administrator reads no payload
)

// The service itself.
const (
	Busy            Code = "busy" // over capacity: try again after RetryAfter
	SignatureFailed Code = "signature_failed"
	Unavailable     Code = "unavailable"
	Internal        Code = "internal"
)

// Refusal is the one form in which a user of any door meets a no: a stable
// code, the facts that its sentence needs, and the source of the rule. What a
// person reads (title, detail, remedy) stands in the message catalogue under
// the code, so that a refusal crosses process boundaries without any text.
type Refusal struct {
	Code Code
	// Source is the rule's origin (document and section), empty where the
	// refusal only protects the protocol.
	Source string
	// Params fill the placeholders of the catalogue's sentence. They never
	// hold a secret nor anything that helps to guess one.
	Params map[string]string
	// RetryAfter is how long to wait before trying again, 0 if waiting does
	// not help.
	RetryAfter time.Duration
}

// Refuse makes a refusal. Params are given as name, value, name, value.
func Refuse(code Code, params ...string) *Refusal {
	r := &Refusal{Code: code}
	if len(params) > 0 {
		r.Params = make(map[string]string, len(params)/2)
	}
	for i := 0; i+1 < len(params); i += 2 {
		r.Params[params[i]] = params[i+1]
	}
	return r
}

// Error gives the code and the facts, for logs; people read the catalogue's
// sentence.
func (r *Refusal) Error() string {
	if len(r.Params) == 0 {
		return "refused: " + string(r.Code)
	}
	facts := make([]string, 0, len(r.Params))
	for _, name := range slices.Sorted(maps.Keys(r.Params)) {
		facts = append(facts, name+" "+r.Params[name])
	}
	return fmt.Sprintf("refused: %s (%s)", r.Code, strings.Join(facts, ", "))
}

// Is makes two refusals equal when their codes are, so that
// errors.Is(err, policies.Refuse(policies.CodeWrong)) asks for the kind.
func (r *Refusal) Is(target error) bool {
	t, ok := target.(*Refusal)
	return ok && t.Code == r.Code
}

// From names the source of the rule.
func (r *Refusal) From(source string) *Refusal {
	r.Source = source
	return r
}

// Outwardly is the refusal as it is told where there is no desk: whoever comes
// in the name of somebody who has died meets what a stranger does.
func (r *Refusal) Outwardly() *Refusal {
	if r.Code == CitizenDeceased {
		return Refuse(CitizenUnknown).From(r.Source)
	}
	return r
}

// After says how long to wait before trying again.
func (r *Refusal) After(d time.Duration) *Refusal {
	r.RetryAfter = d
	return r
}

// Codes is the closed list of refusals, for the tables that must have a row
// for each: HTTP statuses and the message catalogue.
func Codes() []Code {
	return []Code{
		IdentifierInvalid, IdentityDocumentExpiry, NameInvalid, PhoneInvalid, PhoneTaken, EmailInvalid,
		CitizenExists, CitizenUnknown, CitizenInactive, CitizenDeregistered, CitizenDeceased, RegistrationInPerson, CitizenBlocked, RecordTampered,
		OfficeActInvalid, OfficeActRepeated,
		ActivationMismatch, ActivationBlocked, PasswordWeak, PasswordMismatch, CredentialsWrong, PasswordLocked, PasswordPaused, PasswordExpired, SessionExpired, NotTheSigner,
		CodeMalformed, CodeWrong, CodeExpired, CodeUsed, CodeExhausted, CodeTooSoon, CodeTooMany, SMSFailed,
		RegistrationTooOld, RegistrationTelematic, RegistrationLevel,
		CredentialExists, CredentialMissing, CertificateExpired, CertificateRevoked, CertificateSuspended, CertificateInForce,
		RenewalTooEarly, RegistrationEnding,
		AuthorisationInvalid, AuthorisationExpired, DigestRefused,
		DocumentEmpty, DocumentTooLarge, DocumentNotPDF, DocumentDamaged, VerificationFormat, DocumentEncrypted, DocumentCertified,
		DocumentUnsupported, DocumentTooComplex, DocumentUnsafe, DocumentChanged, FieldUnknown, StampInvalid, UploadUnknown,
		TimeStampUnavailable, EvidenceUnavailable, LevelUnreachable,
		RequestMalformed, RequestUnknown, RequestState, RequestExpired, RequestTooManyDocs, ReturnAddressUnknown,
		IdempotencyKeyMissing, IdempotencyKeyReused, ApplicationUnknown, ScopeMissing,
		DoorNotAllowed, FormatNotAllowed, LevelNotAllowed, NotFound, MethodNotAllowed, RateLimited,
		LogSuspended, ReceiptPending, CheckpointMissing, QueryInvalid, RangeImpossible, PurposeMissing, RoleMissing, AuditorRefused, InvitationInvalid,
		CertificateUnreadable, CertificateUntrusted, RevocationUnknown, DNIeRequired, IdentityMismatch, AssociationExists, AssociationMissing, PhoneChangedRecently, PhoneRefused, LetterMismatch,
		LetterBlocked, IBANInvalid, RegisterUnavailable, AccessKeyInvalid, PINMismatch, CardMismatch, CardBlocked, LinkInvalid, ReasonMissing, SecondOfficerNeeded, DeskTaken, OfficerRefused,
		Busy, SignatureFailed, Unavailable, Internal,
	}
}
