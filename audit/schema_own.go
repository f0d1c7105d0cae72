package audit

// What citizens do on their own pages.
const (
	LinkSent           EventType = "link.sent" // by mail: following it makes a change that waits
	AssociationAdded   EventType = "association.added"
	AssociationRemoved EventType = "association.removed"
	NoticesChanged     EventType = "notices.changed"
	IncidentOpened     EventType = "incident.opened" // "this was not me"
	IncidentClosed     EventType = "incident.closed"
	DataExported       EventType = "data.exported"  // by the person whom it is about
	DocumentTaken      EventType = "document.taken" // by whoever signed it
	SessionEnded       EventType = "session.ended"  // by whoever it was
)

// confirmed are the facts of what a citizen confirmed with a code.
func confirmed(more ...Field) []Field {
	return with(more, []Field{
		optional("challenge", KindString, "id of the code that the citizen confirmed with"),
		factors(),
	}...)
}

func noticeWords() []string { return []string{"mail", "sms", "both", "none"} }

func ownSchemas() []Schema {
	associated := func() []Field {
		return confirmed(
			required("sha256", KindHex, "hash of the certificate"),
			optional("issuer", KindString, "who issued it"),
			optional("serial", KindString, "its serial number").term(TermCertificate),
			optional("not_after", KindTime, "until when it is valid"),
		)
	}
	incident := required("incident", KindString, "id of the incident")
	return []Schema{
		{LinkSent, ResultNone, "A mail carries a link; what it changes is changed when it is followed.", confirmed(
			required("kind", KindString, "what it changes").one("email", "password"),
			required("to", KindMail, "where the mail went, masked"),
			required("expires", KindTime, "until when it can be followed"),
		)},
		{AssociationAdded, ResultSucceeded, "The citizen can log in with this certificate.", associated()},
		{AssociationRemoved, ResultSucceeded, "The citizen no longer logs in with it.", associated()},
		{NoticesChanged, ResultSucceeded, "The citizen is told of signatures in another way.", []Field{
			required("from", KindString, "how before").one(noticeWords()...),
			required("to", KindString, "how now").one(noticeWords()...),
		}},
		{IncidentOpened, ResultNone, "The citizen says of a signature, or of something else: this was not me.", []Field{
			incident,
			optional("request", KindString, "id of the signature's request"),
			required("via", KindString, "how the citizen had come in").one("password", "pin", "certificate", "card"),
			required("suspended", KindBoolean, "whether the certificate was put on hold for it"),
		}},
		{IncidentClosed, ResultSucceeded, "An office has looked into it.", with([]Field{
			incident,
			required("outcome", KindString, "what came of it, in the office's words"),
		}, byOffice()...)},
		{DataExported, ResultSucceeded, "The citizen has taken a copy of all data (GDPR, article 15).", []Field{
			required("via", KindString, "how the citizen had come in").one("password", "pin", "certificate", "card"),
		}},
		{DocumentTaken, ResultSucceeded, "The citizen has downloaded a document that they signed.", []Field{
			required("via", KindString, "how the citizen had come in").one("password", "pin", "certificate", "card"),
			required("application", KindString, "client id of the application that asked for the signature").term(TermApplication),
			required("ordinal", KindInteger, "place in the request, from 1"),
			required("sha256", KindHex, "hash of the document as it came").term(TermDocument),
		}},
		{SessionEnded, ResultSucceeded, "The citizen has left the own pages.", []Field{
			required("via", KindString, "how the citizen had come in").one("password", "pin", "certificate", "card"),
			required("everywhere", KindBoolean, "whether all other sessions have ended with it"),
		}},
	}
}
