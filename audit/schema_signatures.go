package audit

// documentFields are what the log says of one document of a request.
func documentFields(more ...Field) []Field {
	return with([]Field{
		required("ordinal", KindInteger, "place in the request, from 1"),
		optional("sha256", KindHex, "hash of the document as it came and as the citizen saw it").term(TermDocument),
	}, more...)
}

func documents(more ...Field) Field {
	return optional("documents", KindList, "each document of the request").of(documentFields(more...)...)
}

// wish are the facts of the signature that was asked for.
func wish() []Field {
	return []Field{
		optional("format", KindString, "form in which the signature comes back").one("pades", "cades-detached", "cades-attached", "hash"),
		optional("level", KindString, "baseline level asked for").one("B-B", "B-T", "B-LT", "B-LTA"),
		optional("attributes", KindObject, "signed attributes asked for (EN 319 122-1, 5.2)").of(
			optional("mime_type", KindString, "of the content"),
			optional("commitment", KindString, "what the signature is to mean"),
			optional("country", KindString, "where the signer claims to be"),
			optional("locality", KindString, "where the signer claims to be"),
			optional("policy", KindString, "signature policy"),
		),
	}
}

// fixed are the facts of what is signed once it is fixed. Whoever holds a
// signed PDF knows the digest, and not the document as it came.
func fixed(digest Field) []Field {
	return []Field{
		optional("hash", KindString, "algorithm of the digest (OID)"),
		digest,
		optional("signing_time", KindTime, "the claimed time: when the page that shows the document was opened"),
	}
}

// built are the facts of a signature that was made around a hash, of which alone
// the consent knew.
func built() []Field {
	return []Field{
		optional("built", KindString, "form of the signature that was built around the authorised hash, where one was").one("pades", "cades-detached", "cades-attached"),
		optional("built_digest", KindHex, "of what that signature covers; another than the hash where a PDF's signature dictionary came to it").term(TermDocument),
	}
}

func digest() Field {
	return optional("digest", KindHex, "of what the signature covers")
}

// consent are the facts of an authorisation and of the key that it is for.
func consent() []Field {
	return with([]Field{
		application(),
		required("authorisation", KindString, "id of the consent"),
		serial(),
		optional("certificate_sha256", KindHex, "hash of the certificate"),
		optional("credential", KindString, "id of the credential that holds the key"),
		optional("generation", KindInteger, "which sealing of the key this is"),
	}, keyPlace()...)
}

// ended are the facts of a request that ended without a signature.
func ended(more ...Field) []Field {
	return with([]Field{application(), documents()}, more...)
}

func signatureSchemas() []Schema {
	title := optional("title", KindString, "what the application calls the request, as the citizen reads it")
	name := optional("name", KindString, "of the file, as the citizen reads it")
	authorisation := optional("authorisation", KindString, "id of the consent that was used up")
	return []Schema{
		{SignRequested, ResultNone, "An application asks a citizen for signatures.", []Field{
			required("application", KindString, "client id of the application").term(TermApplication),
			title,
			documents(with(with(wish(),
				optional("hash", KindString, "algorithm of a hash that came in the document's place (OID)"),
				optional("digest", KindHex, "a hash that came in the document's place"),
			),
				name,
				optional("media_type", KindString, "of the file"),
				optional("bytes", KindInteger, "size of the file"),
				optional("pages", KindInteger, "of a PDF"),
				optional("findings", KindList, "what an inspection found in it and let pass").each(KindString),
			)...),
		}},
		{SignShown, ResultNone, "The documents stand before the citizen, and a code over exactly these hashes is going to be sent.", []Field{
			application(), title,
			required("reference", KindString, "the check word that page and SMS both show"),
			documents(with(with(wish(), fixed(digest())...),
				name,
				optional("pages", KindInteger, "how many pages of it were shown; none for what is not a PDF"),
			)...),
		}},
		{SignAuthorised, ResultNone, "The citizen has consented with both factors, to exactly these hashes.", with(consent(),
			required("challenge", KindString, "id of the code"),
			required("reference", KindString, "the check word that page and SMS both show"),
			factors(), proofs(), registration(),
			documents(with(wish(), fixed(digest())...)...),
			required("expires", KindTime, "until when the consent may be used, once"),
			optional("seconds", KindInteger, "from sending the code to its confirmation"),
			optional("shown_seconds", KindInteger, "from opening the page that shows the documents to the confirmation"),
			optional("scal", KindInteger, "1: password and code came through the application (explicit mode); else they were typed on our pages"),
		)},
		{SignIntent, ResultNone, "The citizen's key is about to be used: the last entry before it is.", with(consent(),
			documents(with(with(wish(), fixed(digest().term(TermDocument))...),
				with(built(), optional("dtbs_r", KindHex, "what the key signs: hash of the signed attributes, or the given hash itself"))...,
			)...),
		)},
		{SignDone, ResultSucceeded, "The signatures are made, verified and stored.", with(consent(),
			required("signatures", KindList, "SHA-256 of each signature (CMS, or a bare value), in the documents' order").each(KindHex),
			documents(with(with(wish(), built()...), digest().term(TermDocument))...),
		)},
		{SignInterrupted, ResultInterrupted, "An intent without an outcome: nothing was handed out, the citizen may be asked again.", ended(
			authorisation,
			optional("serial", KindString, "serial number of the certificate").term(TermCertificate),
			former("id", "id of the consent that was used up"),
		)},
		{SignFailed, ResultFailed, "The key could not be used; the citizen may be asked again.", ended(
			required("authorisation", KindString, "id of the consent that was used up"),
			optional("serial", KindString, "serial number of the certificate").term(TermCertificate),
			optional("reason", KindString, "code of the refusal").term(TermReason),
		)},
		{SignRefused, ResultRefused, "The citizen does not want to sign.", ended(
			required("by", KindString, "who refused").one("citizen"),
		)},
		{SignExpired, ResultExpired, "Nobody signed in time.", ended(
			former("id", "id of the request"),
		)},
		{SignWithdrawn, ResultExpired, "Nobody needs to sign any more: the envelope that the request is part of has ended, or the factors that came with it did not hold.", ended(
			optional("envelope", KindString, "id of the envelope"),
			required("because", KindString, "how it ended: one of the others refused, or did not sign in time, or the application gave it up; or, in explicit mode, the factors").one("rejected", "expired", "cancelled", "factors"),
		)},
		{SignDenied, ResultRefused, "The rules do not allow the signature, or something has changed since the consent.", ended(
			required("reason", KindString, "code of the refusal").term(TermReason),
			optional("source", KindString, "the rule's source"),
			optional("facts", KindWords, "the numbers and dates that decided"),
			optional("differs", KindString, "what has changed since the consent"),
			authorisation,
			registration(),
		)},
	}
}
