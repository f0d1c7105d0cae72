package audit

// application is the client that a request came from.
func application() Field {
	return optional("application", KindString, "client id of the application whose request it is; without one it is the citizen's own affair").term(TermApplication)
}

// refusedFactor are the facts of a password that did not let somebody in.
func refusedFactor() []Field {
	return []Field{
		required("factor", KindString, "the password").one("knowledge"),
		required("reason", KindString, "code of the refusal").term(TermReason),
		optional("address", KindString, "network address that it came from"),
		application(),
	}
}

func purposeWords() []string {
	return []string{"signature", "certificate", "activation", "password", "revocation", "suspension", "release", "deregistration", "email", "association", "enrolment"}
}

// aCode are the facts of a one-time code, which itself stands nowhere.
func aCode(more ...Field) []Field {
	return with([]Field{
		required("purpose", KindString, "what it confirms").one(purposeWords()...),
		optional("challenge", KindString, "id of the code"),
		optional("phone", KindPhone, "where it was sent"),
		application(),
	}, more...)
}

func factorSchemas() []Schema {
	reason := optional("reason", KindString, "code of the refusal").term(TermReason)
	reference := optional("reference", KindString, "the check word that page and SMS both show, empty where nothing is signed")
	return []Schema{
		{AuthSucceeded, ResultSucceeded, "A factor held.", []Field{
			required("factor", KindString, "password, code by SMS or activation letter").one(factorWords()...),
			optional("address", KindString, "network address that it came from"),
			optional("purpose", KindString, "what the code confirms").one(purposeWords()...),
			optional("challenge", KindString, "id of the code"),
			optional("phone", KindPhone, "where it was sent"),
			optional("attempts", KindInteger, "how many codes were typed, the right one included"),
			optional("seconds", KindInteger, "from sending the code to its confirmation"),
			application(),
		}},
		{AuthFailed, ResultFailed, "The password was wrong, or right and of no use here.", refusedFactor()},
		{AuthLocked, ResultRefused, "Too many wrong passwords: only an activation letter helps.", refusedFactor()},
		{AuthPaused, ResultRefused, "Too many wrong passwords lately: this one was not even compared.", refusedFactor()},
		{AuthExpired, ResultRefused, "The password was right and too old.", refusedFactor()},
		{CodeSent, ResultNone, "The operator of SMS has accepted a one-time code.", aCode(reference)},
		{CodeSendFailed, ResultFailed, "The operator of SMS has not accepted it.", aCode(reference, reason)},
		{CodeFailed, ResultFailed, "Another code than the one sent was typed.", aCode(
			required("attempt", KindInteger, "number of the try"), reason)},
		{CodeExpired, ResultExpired, "A code was typed after its time.", aCode(reason)},
		{CodeExhausted, ResultRefused, "The last try was wrong: the code is worth nothing any more.", aCode(
			required("attempt", KindInteger, "number of the try"), reason)},
	}
}
