package audit

// What officers do at the desk. An act that an office signed has an entry of
// its own, written by the signer when it is carried out; here stands who asked
// for it, and why.
const (
	DeskLookedUp EventType = "desk.looked_up"
	DeskActed    EventType = "desk.acted"
	DeskOrdered  EventType = "desk.ordered" // a dangerous act, which waits for a second officer
	DeskDecided  EventType = "desk.decided" // by that officer, or of a recording
)

// DeskEvents are the types that the desk may write.
func DeskEvents() []EventType { return []EventType{DeskLookedUp, DeskActed, DeskOrdered, DeskDecided} }

// atDesk are the facts of who is there, and why.
func atDesk(more ...Field) []Field {
	return with([]Field{
		required("officer", KindString, "id of the officer's account"),
		required("name", KindString, "of the officer"),
		required("role", KindString, "of the account").one("officer", "supervisor", "administrator"),
		required("by", KindString, "how the officer was identified; cli is a batch of the command line").one("certificate", "passkey", "cli"),
		required("office", KindString, "client id of the office"),
		required("reason", KindString, "why, in the officer's words"),
	}, more...)
}

func deskActs() []string {
	return []string{
		"register", "renew_registration", "renew_activation", "change_phone", "change_email", "block", "unblock", "revoke", "suspend", "release",
		"deregister", "report_death", "correct_death", "close_incident", "print_letter", "mass_revocation", "change_application",
	}
}

func deskSchemas() []Schema {
	return []Schema{
		{DeskLookedUp, ResultNone, "An officer looked somebody up, or opened a list of people.", atDesk(
			required("looked", KindString, "at what").one("search", "file", "orders", "order", "videos", "video", "incidents", "letters", "applications", "application"),
			optional("question", KindString, "what was searched by").one("identifier", "phone", "name"),
			optional("phone", KindPhone, "the mobile that was searched for, masked"),
			optional("text", KindString, "the name that was searched for"),
			optional("results", KindInteger, "how many people were found"),
			optional("subject", KindString, "id of the order, recording, incident or application"),
		)},
		{DeskActed, ResultNone, "An officer asked for an act on somebody's registration; what came of it is told by the entry with the statement's id.", atDesk(
			required("act", KindString, "what").one(deskActs()...),
			required("statement", KindString, "id of the statement that the office signed"),
			optional("order", KindString, "id of the order that a second officer confirmed"),
			optional("confirmed_by", KindString, "id of the second officer"),
			optional("subject", KindString, "id of the recording, incident or application"),
		)},
		{DeskOrdered, ResultNone, "An officer asked for a dangerous act, which a second one has to confirm.", atDesk(
			required("act", KindString, "what").one(deskActs()...),
			required("order", KindString, "id of the order"),
			required("people", KindInteger, "on how many people"),
			required("expires", KindTime, "until when it can be confirmed"),
		)},
		{DeskDecided, ResultNone, "An officer confirmed or rejected what was waiting.", atDesk(
			required("decision", KindString, "which").one("confirmed", "rejected"),
			required("of", KindString, "of what").one("order", "video"),
			required("subject", KindString, "id of the order or recording"),
			optional("act", KindString, "what was asked for").one(deskActs()...),
		)},
	}
}
