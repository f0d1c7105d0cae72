package audit

// byOffice are the facts of what an office did: it signed a statement, which it
// keeps and can be held to.
func byOffice() []Field {
	return []Field{
		optional("office", KindString, "client id of the office that acted"),
		optional("officer", KindString, "who was at the desk"),
		optional("confirmed_by", KindString, "the second officer, where there was one"),
		optional("statement", KindString, "id of the statement that the office signed"),
	}
}

func factorWords() []string {
	return []string{"knowledge", "possession", "activation", "pin", "certificate", "card"}
}

func statusWords() []string {
	return []string{"registered", "active", "blocked", "deregistered", "deceased"}
}

func proofMode() Field {
	return required("mode", KindString, "how the identity was proved").one("office", "certificate", "dnie", "letter", "video")
}

func proofLevel() Field {
	return required("level", KindString, "how much that is worth").one("advanced", "basic")
}

// registration is the proof of identity that a decision relied on.
func registration() Field {
	return optional("registration", KindObject, "the registration that was relied on").of(
		proofMode(),
		proofLevel(),
		required("assured_at", KindDate, "when it was proved"),
	)
}

// proofs are the factors that a person has passed.
func proofs() Field {
	return optional("proofs", KindList, "the factors, with the time at which each held").of(
		required("factor", KindString, "password, code by SMS or activation letter").one(factorWords()...),
		required("outcome", KindString, "what came of it").one("passed"),
		required("at", KindTime, "when it was passed"),
		optional("challenge", KindString, "id of the code that was sent"),
		optional("phone", KindPhone, "where it was sent"),
		optional("attempts", KindInteger, "how many codes were typed, the right one included"),
		optional("seconds", KindInteger, "from sending to confirming"),
	)
}

// factors are the names of the same, as older versions wrote them too.
func factors() Field {
	return optional("factors", KindList, "the factors that were passed").each(KindString).one(factorWords()...)
}

// moved are the facts of a change of somebody's status.
func moved(more ...Field) []Field {
	return movedFrom(required("from", KindString, "status before").one(statusWords()...), more...)
}

func movedFrom(before Field, more ...Field) []Field {
	return with([]Field{
		required("by", KindString, "who asked: the office with officer and statement, or citizen"),
		required("reason", KindString, "why, in the office's words; the citizen's own wish"),
		before,
		required("to", KindString, "status after").one(statusWords()...),
		optional("challenge", KindString, "id of the code that the citizen confirmed with"),
		factors(),
	}, with(byOffice(), more...)...)
}

// changed are the facts of a change of an address.
func changed(kind Kind) []Field {
	return with([]Field{
		required("by", KindString, "who asked: the office with officer and statement, or citizen"),
		required("from", kind, "masked"),
		required("to", kind, "masked"),
		optional("reason", KindString, "why, in the office's words"),
		optional("serial", KindString, "serial number of the certificate that was shown for it").term(TermCertificate),
		optional("challenge", KindString, "id of the code that the citizen confirmed with"),
		factors(),
	}, byOffice()...)
}

func citizenSchemas() []Schema {
	return []Schema{
		{RegistrationCreated, ResultSucceeded, "A person was registered.", []Field{
			required("citizen", KindString, "id of the record"),
			proofMode(),
			proofLevel(),
			optional("assured_at", KindTime, "when it was proved"),
			required("office", KindString, "client id of the office; its name in older entries"),
			optional("office_name", KindString, "its name"),
			required("officer", KindString, "who was at the desk"),
			optional("confirmed_by", KindString, "the second officer, where there was one"),
			optional("statement", KindString, "id of the statement that the office signed"),
			optional("again", KindBoolean, "the person had been registered before, and deregistered"),
			evidence(),
			optional("serial", KindString, "serial number of the certificate that proved it").term(TermCertificate),
			optional("challenge", KindString, "id of the code that proved the mobile"),
			factors(),
			required("document_until", KindDate, "until when the DNI or NIE is valid"),
			required("phone", KindPhone, "masked"),
			required("email", KindMail, "masked"),
		}},
		{IdentityProved, ResultSucceeded, "A registered person has proved the identity again, or at another level.", with([]Field{
			required("citizen", KindString, "id of the record"),
			proofMode(),
			proofLevel(),
			required("assured_at", KindTime, "when it was proved"),
			optional("document_until", KindDate, "until when the DNI or NIE is valid"),
			evidence(),
			optional("serial", KindString, "serial number of the certificate that proved it").term(TermCertificate),
			optional("challenge", KindString, "id of the code that confirmed it"),
			factors(),
		}, byOffice()...)},
		{ActivationCodeIssued, ResultNone, "An office printed an activation letter; what stands in it is nowhere in the log.", byOffice()},
		{ActivationFailed, ResultFailed, "DNI, e-mail and activation letter did not belong together, or the mobile had changed too recently.", []Field{
			required("reason", KindString, "code of the refusal").term(TermReason),
			optional("address", KindString, "network address that it came from"),
		}},
		{ActivationBlocked, ResultRefused, "Too many wrong tries: the activation letter is worth nothing any more.", []Field{
			required("reason", KindString, "code of the refusal").term(TermReason),
			optional("address", KindString, "network address that it came from"),
		}},
		{ActivationDone, ResultSucceeded, "The citizen has chosen a password and can be identified.", []Field{
			required("citizen", KindString, "id of the record"),
		}},
		{PasswordSet, ResultSucceeded, "A password was chosen after an activation.", []Field{
			required("credential", KindString, "id of the credential that it opens"),
			factors(),
		}},
		{PasswordChanged, ResultSucceeded, "The password was changed by whoever knew the old one; keys and certificates stay.", []Field{
			required("credential", KindString, "id of the credential that it opens"),
			required("generation", KindInteger, "which sealing of the key this is"),
			factors(),
		}},
		{PhoneChanged, ResultSucceeded, "Codes go to another mobile from now on.", changed(KindPhone)},
		{MailChanged, ResultSucceeded, "Mail goes to another address from now on.", changed(KindMail)},
		{CitizenBlocked, ResultSucceeded, "Nothing can be signed until the block is lifted.", moved()},
		{CitizenUnblocked, ResultSucceeded, "The block is lifted.", moved()},
		{CitizenDeregistered, ResultSucceeded, "The registration has ended; certificates are revoked, keys destroyed.", moved()},
		{CitizenDeceased, ResultSucceeded, "The same, of somebody who has died: nobody is registered in that name again.", movedFrom(
			optional("from", KindString, "status before; absent of whoever was never registered").one(statusWords()...),
			evidence(),
		)},
		{CitizenDeathCorrected, ResultSucceeded, "Somebody had been taken for dead: deregistered now, and free to register.", moved()},
		{CitizenReminded, ResultNone, "A mail and an SMS tell that something is going to end.", []Field{
			required("of", KindString, "what ends").one("certificate_expires", "registration_ages"),
			required("days", KindInteger, "how many days before"),
			required("ends", KindTime, "when"),
		}},
		{CitizenSealed, ResultNone, "The record of a citizen stands at this version.", []Field{
			required("version", KindInteger, "number of the version"),
			required("seal", KindHex, "HMAC of the token over the record"),
			required("epoch", KindInteger, "number of the sealing key"),
		}},
		{CitizenSealBroken, ResultRefused, "A record that this service did not write, or did not write last: it was not used.", []Field{
			required("reason", KindString, "code of the refusal; in older entries what differs").term(TermReason),
			optional("differs", KindString, "what is wrong").one("seal", "version"),
			required("version", KindInteger, "number that the record has"),
		}},
		{OfficeActRefused, ResultRefused, "What an office sent was not carried out.", []Field{
			required("reason", KindString, "code of the refusal").term(TermReason),
			optional("detail", KindString, "what of the statement: signature, time, audience, format, office"),
			required("office", KindString, "client id of the office, or what pretended to be it"),
			optional("officer", KindString, "who was at the desk, if the signature held"),
			optional("act", KindString, "what was asked for, if the signature held"),
			optional("statement", KindString, "id of the statement, if the signature held"),
		}},
	}
}
