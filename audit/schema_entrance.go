package audit

// The other ways in: Cl@ve PIN, the invitation letter, the municipal card. What
// was typed by somebody who is not known stands here too, since who asks must
// not learn who is.
const (
	PINRequested  EventType = "pin.requested"
	PINSent       EventType = "pin.sent"
	PINSendFailed EventType = "pin.send_failed"
	PINWrong      EventType = "pin.wrong"

	LetterRequested EventType = "letter.requested"
	LetterPrinted   EventType = "letter.printed"
	LetterWrong     EventType = "letter.wrong"
	LetterBlocked   EventType = "letter.blocked"
	LetterAnswered  EventType = "letter.answered"

	CardImported      EventType = "card.imported"
	CardKeyRequested  EventType = "card.key_requested"
	CardKeySent       EventType = "card.key_sent"
	CardKeySendFailed EventType = "card.key_send_failed"
	CardWrong         EventType = "card.wrong"
	CardBlocked       EventType = "card.blocked"
)

func entranceSchemas() []Schema {
	reason := required("reason", KindString, "code of the refusal").term(TermReason)
	address := required("address", KindString, "network address that it came from")
	letter := required("letter", KindString, "id of the letter")
	return []Schema{
		{PINRequested, ResultNone, "Somebody asked for a PIN.", []Field{
			required("matched", KindBoolean, "whether the data were those of a registered person; without, nothing is sent"), address,
		}},
		{PINSent, ResultNone, "The operator of SMS has accepted the PIN.", []Field{required("phone", KindPhone, "where it was sent")}},
		{PINSendFailed, ResultFailed, "The operator of SMS has not accepted it.", []Field{required("phone", KindPhone, "where it was to go"), reason}},
		{PINWrong, ResultFailed, "Another PIN or access key was typed.", []Field{
			required("attempt", KindInteger, "number of the try"), reason, address,
		}},
		{LetterRequested, ResultNone, "Somebody asked for an invitation letter.", []Field{
			required("outcome", KindString, "what came of it; who asked was told nothing").one("requested", "pending", "registered", "deceased", "mismatch"),
			optional("letter", KindString, "id of the letter"), address,
		}},
		{LetterPrinted, ResultSucceeded, "A letter was printed; its code exists on that paper alone.", with([]Field{
			letter, required("times", KindInteger, "how often it has been printed, this time included"),
		}, byOffice()...)},
		{LetterWrong, ResultFailed, "A code that is on no letter to that person was typed.", []Field{reason, address}},
		{LetterBlocked, ResultRefused, "Too many of them: only another letter helps.", []Field{reason, address}},
		{LetterAnswered, ResultSucceeded, "The code of a letter was right.", []Field{letter, address}},
		{CardImported, ResultSucceeded, "A municipal card was added, or stands anew.", []Field{
			required("card", KindString, "its last three digits"), required("email", KindMail, "where its operations keys go"),
		}},
		{CardKeyRequested, ResultNone, "Somebody asked for a card's operations key.", []Field{
			required("matched", KindBoolean, "whether there is such a card with that PIN; without, nothing is sent"), address,
		}},
		{CardKeySent, ResultNone, "A new operations key was mailed; the one before is worth nothing any more.", []Field{
			required("email", KindMail, "where it was sent"),
		}},
		{CardKeySendFailed, ResultFailed, "The mail server has not accepted it; the key before still holds.", []Field{
			required("email", KindMail, "where it was to go"),
		}},
		{CardWrong, ResultFailed, "A card's PIN or operations key was wrong, or there is no such card.", []Field{reason, address}},
		{CardBlocked, ResultRefused, "Too many of them: the card identifies nobody until it is imported anew.", []Field{reason, address}},
	}
}
