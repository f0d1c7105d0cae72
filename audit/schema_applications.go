package audit

// ApplicationChanged tells what an operator changed of a client.
const ApplicationChanged EventType = "application.changed"

// What a citizen lets a client see.
const (
	ConsentGiven     EventType = "consent.given"
	ConsentWithdrawn EventType = "consent.withdrawn"
)

func consentSchemas() []Schema {
	application := required("application", KindString, "client id").term(TermApplication)
	return []Schema{
		{ConsentGiven, ResultSucceeded, "The citizen lets an application see certificates, or more, by scope; over no signature.", []Field{
			application,
			required("consent", KindString, "id of the consent"),
			required("scopes", KindList, "what it may see").each(KindString),
		}},
		{ConsentWithdrawn, ResultSucceeded, "The citizen lets it see nothing any more; its grants and tokens ended with this.", []Field{
			application,
			required("via", KindString, "how the citizen had come in").one("password", "pin", "certificate", "card"),
		}},
	}
}

func applicationChange() []Field {
	return append([]Field{
		required("application", KindString, "client id").term(TermApplication),
		required("change", KindString, "what was changed").one(
			"enabled", "disabled", "secret_replaced", "contact", "switched_on", "switched_off", "scopes", "limits",
			"redirect_added", "redirect_removed", "key_added", "key_until", "key_removed", "certificate_added", "certificate_until", "certificate_removed",
			"webhook_added", "webhook_removed",
		),
		optional("switch", KindString, "which relaxation"),
		optional("return_address", KindString, "where citizens may be sent back to"),
		optional("key", KindString, "id of the public key"),
		optional("certificate_sha256", KindHex, "hash of the TLS certificate"),
		optional("not_before", KindTime, "from when it is good"),
		optional("not_after", KindTime, "until when; of a secret: the one before it"),
		optional("scopes", KindList, "what it may ask for").each(KindString),
		optional("doors", KindList, "through which it may come; empty: all").each(KindString),
		optional("formats", KindList, "of signatures; empty: all").each(KindString),
		optional("levels", KindList, "of signatures; empty: all").each(KindString),
		optional("calls", KindInteger, "a second; 0: what the deployment grants"),
		optional("webhook", KindString, "id of the address at which it is told what becomes of requests"),
		optional("url", KindString, "that address"),
	}, bySupervisor()...)
}

// bySupervisor is who administered at the desk.
func bySupervisor() []Field {
	return []Field{
		optional("office", KindString, "client id of the office whose supervisor did it; none: by command line"),
		optional("officer", KindString, "who was at the desk"),
		optional("statement", KindString, "id of what the office signed"),
		optional("reason", KindString, "why, in the officer's words"),
	}
}
