package audit

// Officers: their accounts, and how they enter by the desk's door.
const (
	OfficerAdded       EventType = "officer.added"
	OfficerInvited     EventType = "officer.invited" // to add a passkey
	OfficerDisabled    EventType = "officer.disabled"
	OfficerEnrolled    EventType = "officer.enrolled" // with a passkey
	OfficerLoggedIn    EventType = "officer.logged_in"
	OfficerLoginFailed EventType = "officer.login_failed"
)

// OfficerEvents are those that the desk's door records itself.
func OfficerEvents() []EventType {
	return []EventType{OfficerInvited, OfficerDisabled, OfficerEnrolled, OfficerLoggedIn, OfficerLoginFailed}
}

// officer are the facts of an officer's account.
func officer(more ...Field) []Field {
	return with([]Field{
		required("name", KindString, "of the officer"),
		optional("role", KindString, "of the account").one("officer", "supervisor", "administrator"),
		optional("office", KindString, "client id of the office"),
		optional("by", KindString, "how they proved it; or the administrator's id, or the command line"),
		optional("certificate_sha256", KindHex, "hash of the TLS client certificate"),
	}, more...)
}

func officerSchemas() []Schema {
	passkey := optional("passkey_sha256", KindHex, "hash of the passkey's id")
	address := optional("address", KindString, "network address that it came from")
	return []Schema{
		{OfficerAdded, ResultSucceeded, "Somebody may register citizens for an office.", officer()},
		{OfficerInvited, ResultNone, "Somebody may add a passkey to the account, once.", officer(
			optional("until", KindTime, "until when"),
		)},
		{OfficerDisabled, ResultSucceeded, "The account is closed.", officer()},
		{OfficerEnrolled, ResultSucceeded, "A passkey was added to the account.", officer(passkey)},
		{OfficerLoggedIn, ResultSucceeded, "Somebody has entered by the desk's door.", officer(passkey, address)},
		{OfficerLoginFailed, ResultFailed, "Somebody has not.", []Field{
			required("by", KindString, "how they tried").one("certificate", "passkey", "invitation"),
			optional("cause", KindString, "why not"),
			optional("certificate_sha256", KindHex, "hash of the TLS client certificate"),
			passkey,
			address,
			optional("omitted", KindInteger, "failures of a flood that have no entry of their own"),
		}},
	}
}
