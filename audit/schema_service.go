package audit

// listFields are what is said of a revocation list.
func listFields() []Field {
	return []Field{
		required("number", KindInteger, "number of the list"),
		required("entries", KindInteger, "how many it revokes"),
		required("sha256", KindHex, "hash of the list"),
		required("next_update", KindTime, "before when the next one is made"),
	}
}

func serviceSchemas() []Schema {
	clients := append([]Field{
		optional("application", KindString, "client id").term(TermApplication),
		required("name", KindString, "as citizens read it"),
		required("organisation", KindString, "whose it is"),
		required("scopes", KindList, "what it may ask").each(KindString),
		optional("return_addresses", KindList, "where citizens may be sent back to").each(KindString),
		optional("public_key_sha256", KindHex, "hash of the key that an office's statements are checked with"),
		optional("switches", KindList, "what is relaxed or opened for it").each(KindString),
	}, bySupervisor()...)
	settings := optional("settings_sha256", KindHex, "hash of all settings, secrets left out")
	return []Schema{
		{ApplicationAdded, ResultSucceeded, "A client may ask for signatures.", clients},
		{OfficeAdded, ResultSucceeded, "An office may register citizens.", clients},
		{ApplicationChanged, ResultNone, "An operator changed what a client is known by, or what it may do.", applicationChange()},
		{KeyCeremony, ResultSucceeded, "A step of a key ceremony is done.", []Field{
			optional("step", KindString, "name of the step"),
			optional("retired", KindList, "members with whose keys nothing new is done").each(KindString),
			optional("member", KindString, "of the hierarchy"),
			optional("list", KindString, "whose revocation list was made"),
			optional("number", KindInteger, "number of the list"),
			optional("entries", KindInteger, "how many it revokes"),
			optional("sha256", KindHex, "hash of the list"),
			optional("next_update", KindTime, "before when the next one is made"),
		}},
		{AuthorityIntent, ResultNone, "A key of the hierarchy is about to certify another.", []Field{
			optional("member", KindString, "whose certificate it will be"),
			former("name", "whose certificate it will be"),
			optional("issuer", KindString, "who certifies"),
			optional("serial", KindString, "serial number of the certificate").term(TermCertificate),
			optional("key_sha256", KindHex, "hash of the public key (SubjectPublicKeyInfo)"),
			optional("tbs_sha256", KindHex, "hash of what is going to be signed (TBSCertificate)"),
			optional("not_after", KindTime, "until when it will be valid"),
		}},
		{AuthorityIssued, ResultSucceeded, "A member of the hierarchy has a certificate.", []Field{
			optional("member", KindString, "whose certificate it is"),
			former("name", "whose certificate it is"),
			optional("role", KindString, "what its key does").one("root", "issuing", "ocsp", "tsa"),
			optional("generation", KindInteger, "which of its role"),
			optional("issuer", KindString, "who certified"),
			optional("label", KindString, "of its key in the token"),
			optional("kept_in", KindString, "which token").one("service", "root"),
			optional("algorithm", KindString, "kind of the key"),
			serial(),
			required("sha256", KindHex, "hash of the certificate"),
			optional("tbs_sha256", KindHex, "hash of what was signed (TBSCertificate)"),
			optional("not_before", KindTime, "from when it is valid"),
			required("not_after", KindTime, "until when"),
		}},
		{AuthorityRevoked, ResultSucceeded, "A member of the hierarchy is revoked.", []Field{
			required("member", KindString, "whose certificate it was"),
			serial(),
			required("reason", KindInteger, "RFC 5280, section 5.3.1"),
			optional("list", KindObject, "the root's list that tells of it").of(with(listFields(),
				required("list", KindString, "whose list"))...),
		}},
		{ClockFault, ResultFailed, "The clock is not trusted: nothing is issued, stamped or published.", []Field{
			required("fault", KindString, "what is wrong with it"),
		}},
		{ClockTrusted, ResultNone, "The clock is trusted again.", nil},
		{ServiceStarted, ResultNone, "A process that signs has started.", []Field{
			required("version", KindString, "of the program"), settings,
		}},
		{ServiceStopped, ResultNone, "It was stopped in order; a start without a stop before it was a crash.", []Field{
			required("version", KindString, "of the program"),
		}},
		{ConfigChanged, ResultNone, "It has started with other settings than last time.", []Field{
			required("version", KindString, "of the program"),
			required("settings_sha256", KindHex, "hash of all settings, secrets left out"),
			required("was_sha256", KindHex, "the same at the last start"),
		}},
	}
}
