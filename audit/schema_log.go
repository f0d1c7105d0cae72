package audit

// question is what an auditor asked, in the terms of the page.
func question() Field {
	return required("question", KindObject, "what was asked for").of(
		optional("about", KindString, "DNI or NIE of whom was asked about").term(TermCitizen),
		optional("certificate", KindString, "serial number").term(TermCertificate),
		optional("document", KindHex, "hash of a document").term(TermDocument),
		optional("application", KindString, "client id").term(TermApplication),
		optional("operation", KindString, "id of a request, citizen, ceremony or auditor"),
		optional("entry", KindInteger, "number of one entry"),
		optional("event_types", KindList, "types of events").each(KindString),
		optional("result", KindString, "class of outcome").one("succeeded", "refused", "failed", "interrupted", "expired"),
		optional("from", KindTime, "first instant"),
		optional("to", KindTime, "instant after the last"),
		optional("first", KindInteger, "first number of a range"),
		optional("end", KindInteger, "number after the last of a range"),
		optional("before", KindInteger, "entries with a lower number only"),
		optional("limit", KindInteger, "at most so many"),
	)
}

// asking are the facts of who asks, and why.
func asking(more ...Field) []Field {
	return with([]Field{
		required("auditor", KindString, "id of the account"),
		required("name", KindString, "of the auditor"),
		required("by", KindString, "how they proved it").one("certificate", "passkey", "token"),
		required("role", KindString, "of the account").one("auditor", "administrator"),
		required("purpose", KindString, "why, in the auditor's words"),
		optional("asked", KindString, "what kind of question").one("search", "entry", "operation", "totals", "completeness", "export"),
		question(),
		optional("results", KindInteger, "how many entries answered, where that was known"),
	}, more...)
}

// account are the facts of an auditor's account.
func account(more ...Field) []Field {
	return with([]Field{
		optional("auditor", KindString, "id of the account"),
		required("name", KindString, "of the auditor"),
		optional("role", KindString, "of the account").one("auditor", "administrator"),
		optional("by", KindString, "id of the administrator, or the command line"),
		optional("certificate_sha256", KindHex, "hash of the TLS client certificate"),
	}, more...)
}

// behind are the facts of a log that is not the one that witnesses saw.
func behind() []Field {
	return []Field{
		required("cause", KindString, "behind what they saw, another than they saw, none within reach, or shorter than this process has seen it").one("behind", "forked", "silent", "shrunk"),
		required("size", KindInteger, "how many entries the log has"),
		optional("root", KindHex, "root of the tree of that size"),
		optional("witnessed_size", KindInteger, "how many a witness saw"),
		optional("witnessed_root", KindHex, "the root that it saw"),
		optional("witness", KindString, "which witness"),
	}
}

func logSchemas() []Schema {
	passkey := optional("passkey_sha256", KindHex, "hash of the passkey's id")
	address := optional("address", KindString, "network address that it came from")
	return []Schema{
		{LogSuspended, ResultFailed, "The log is behind what witnesses saw, or another than they saw: nothing is signed.", behind()},
		{LogResumed, ResultNone, "It is the one that witnesses saw, and no shorter: signing goes on.", behind()},
		{LogRecovered, ResultSucceeded, "Entries were lost, and an operator lets the log go on.", []Field{
			required("tree", KindString, "name of the tree from here on"),
			required("lost_from", KindInteger, "number of the first entry lost"),
			required("lost_to", KindInteger, "number after the last"),
			required("last_witnessed", KindInteger, "size of the last tree that witnesses saw"),
			optional("root", KindHex, "its root"),
			required("refilled", KindInteger, "how many leaves came back from a copy, without their payloads"),
			required("reason", KindString, "why they were lost, in the operator's words"),
			required("operator", KindString, "who"),
		}},
		{LogErased, ResultSucceeded, "Payloads and salts of entries were erased: they can no longer be linked to anybody.", []Field{
			required("entries", KindInteger, "how many"),
			optional("numbers", KindList, "which").each(KindInteger),
			required("reason", KindString, "why, in the operator's words"),
			optional("about_sha256", KindHex, "salted hash of whom they were about"),
			required("operator", KindString, "who"),
		}},
		{AuditQueried, ResultNone, "An auditor asks the log; the entry stands before the answer is given.", asking()},
		{AuditExported, ResultNone, "An auditor takes entries away.", asking(
			required("format", KindString, "of the file").one("jsonl", "csv"),
			required("complete", KindBoolean, "every leaf of the range, so that nothing can be left out"),
			optional("checkpoint", KindInteger, "size of the checkpoint that it is proven under"),
			optional("next", KindInteger, "first number wanted, of an export that goes on"),
		)},
		{AuditorAdded, ResultSucceeded, "Somebody may ask the log, or look after those who do.", account(
			optional("program", KindBoolean, "it is a program that asks by itself"),
		)},
		{AuditorInvited, ResultNone, "Somebody may add a passkey to the account, once.", account(
			optional("until", KindTime, "until when"),
		)},
		{AuditorDisabled, ResultSucceeded, "The account is closed.", account()},
		{AuditorEnrolled, ResultSucceeded, "A passkey or a certificate was added to the account.", account(passkey)},
		{AuditorLoggedIn, ResultSucceeded, "Somebody has entered by the auditors' door.", account(passkey, address)},
		{AuditorLoginFailed, ResultFailed, "Somebody has not.", []Field{
			optional("auditor", KindString, "id of the account, if it is known"),
			required("by", KindString, "how they tried").one("certificate", "passkey", "token", "invitation"),
			optional("cause", KindString, "why not"),
			optional("reason", KindString, "code of the refusal").term(TermReason),
			optional("certificate_sha256", KindHex, "hash of the TLS client certificate"),
			passkey,
			address,
			optional("omitted", KindInteger, "failures of a flood that have no entry of their own"),
		}},
	}
}
