package audit

func serial() Field {
	return required("serial", KindString, "serial number of the certificate, hexadecimal").term(TermCertificate)
}

func keeperWords() []string { return []string{"sealed", "token"} }

// keyPlace are the facts of where a citizen's key is kept.
func keyPlace() []Field {
	return []Field{
		optional("algorithm", KindString, "kind of the key"),
		optional("keeper", KindString, "where: sealed under the password, outside the token; or in it").one(keeperWords()...),
		optional("kek", KindInteger, "number of the token's key-encryption key; 0 with keeper token"),
		optional("label", KindString, "of the token's object, with keeper token"),
	}
}

// held are the facts of what an office or a citizen asked of a certificate.
func held() []Field {
	return moved(
		optional("serial", KindString, "serial number of the certificate").term(TermCertificate),
		optional("crl_reason", KindInteger, "reason of the revocation: RFC 5280, section 5.3.1"),
	)
}

func certificateSchemas() []Schema {
	cause := optional("cause", KindString, "type of the event that it follows from")
	return []Schema{
		{CertificateIntent, ResultNone, "The issuing key is about to be used for a citizen's certificate.", []Field{
			application(), serial(),
			required("issuer", KindString, "the authority"),
			required("credential", KindString, "id of the credential that holds the key"),
			optional("not_before", KindTime, "from when it is valid"),
			required("not_after", KindTime, "until when"),
			required("tbs_sha256", KindHex, "hash of what is going to be signed (TBSCertificate)"),
			optional("key_sha256", KindHex, "hash of the public key (SubjectPublicKeyInfo)"),
			registration(),
		}},
		{CertificateIssued, ResultSucceeded, "A citizen has a certificate.", []Field{
			application(), serial(),
			required("credential", KindString, "id of the credential that holds the key"),
			optional("issuer", KindString, "the authority"),
			required("sha256", KindHex, "hash of the certificate"),
			optional("not_before", KindTime, "from when it is valid"),
			optional("not_after", KindTime, "until when"),
			registration(),
		}},
		{CertificateRefused, ResultRefused, "The rules do not allow a certificate.", []Field{
			application(),
			required("reason", KindString, "code of the refusal").term(TermReason),
			required("source", KindString, "the rule's source"),
			required("facts", KindWords, "the numbers and dates that decided"),
			registration(),
		}},
		{CertificateInterrupted, ResultInterrupted, "An intent without an outcome: the certificate, if there is one, was handed to nobody.", []Field{
			application(),
			optional("serial", KindString, "serial number of the certificate").term(TermCertificate),
			optional("credential", KindString, "id of the credential that holds the key"),
			former("id", "serial number of the certificate").term(TermCertificate),
		}},
		{CertificateRevoked, ResultSucceeded, "A citizen's certificate is revoked for good.", []Field{
			serial(),
			optional("issuer", KindString, "the authority"),
			optional("credential", KindString, "id of the credential that holds the key"),
			required("reason", KindInteger, "RFC 5280, section 5.3.1"),
			cause,
		}},
		{CertificateSuspended, ResultSucceeded, "A citizen's certificate is on hold.", []Field{
			serial(), optional("issuer", KindString, "the authority"), optional("credential", KindString, "id of the credential that holds the key"), cause,
		}},
		{CertificateReleased, ResultSucceeded, "The hold is lifted.", []Field{
			serial(), optional("issuer", KindString, "the authority"), optional("credential", KindString, "id of the credential that holds the key"), cause,
		}},
		{KeyRevoked, ResultSucceeded, "An office or the citizen had certificates revoked and the key destroyed.", with(held(), application())},
		{KeySuspended, ResultSucceeded, "An office or the citizen had the certificate suspended.", held()},
		{KeyReleased, ResultSucceeded, "An office or the citizen had the suspension lifted.", held()},
		{KeyGenerated, ResultSucceeded, "A key pair was made: of a citizen, or in a ceremony of the service.", with([]Field{
			application(),
			optional("credential", KindString, "id of the citizen's credential that holds it"),
			optional("generation", KindInteger, "which sealing of the key this is"),
			optional("key_sha256", KindHex, "hash of the public key (SubjectPublicKeyInfo)"),
			optional("kept_in", KindString, "which token, in a ceremony").one("service", "root"),
			optional("found", KindBoolean, "an interrupted ceremony had left it"),
		}, keyPlace()...)},
		{KeyDestroyed, ResultSucceeded, "A key is gone: nobody signs with it any more.", with([]Field{
			optional("credential", KindString, "id of the credential that held it"),
			optional("generation", KindInteger, "which sealing of the key this was"),
			cause,
			former("id", "label of the token's object"),
		}, keyPlace()...)},
		{KeyResealed, ResultNone, "A key was sealed anew under newer keys of the token, or at another cost.", []Field{
			required("credential", KindString, "id of the credential that holds it"),
			required("generation", KindInteger, "which sealing of the key this is"),
			required("pepper", KindInteger, "number of the token's key that passwords are mixed with"),
		}},
		{KeyEpochBegun, ResultSucceeded, "A secret key of the token is the one for new work.", []Field{
			required("key", KindString, "label of the key"),
			required("check_value", KindHex, "a value that only this key computes"),
		}},
		{KeyEpochDestroyed, ResultSucceeded, "A secret key of the token is gone for ever.", []Field{
			required("key", KindString, "label of the key"),
		}},
		{KeeperChanged, ResultSucceeded, "New keys of citizens are kept elsewhere.", []Field{
			required("from", KindString, "keeper before").one(keeperWords()...),
			required("to", KindString, "keeper from here on").one(keeperWords()...),
		}},
	}
}
