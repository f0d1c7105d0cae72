package audit

// Registration on line: certificates that are shown, and who is on the way.
const (
	CertificatePresented EventType = "certificate.presented" // at the certificate door
	PresentationRefused  EventType = "presentation.refused"
	EnrolmentOpened      EventType = "enrolment.opened" // who somebody is was proved; something is still to be confirmed
	EnrolmentRefused     EventType = "enrolment.refused"
)

// CertificateDoorEvents are those that the certificate door records itself.
func CertificateDoorEvents() []EventType { return []EventType{PresentationRefused} }

func procedureWords() []string {
	return []string{"registro", "renovacion", "movil", "codigo", "asociar", "acceso"}
}

func procedure() Field {
	return required("procedure", KindString, "what the person is about").one(procedureWords()...)
}

// evidence is what proved an identity where no officer saw the person.
func evidence() Field {
	return optional("evidence", KindWords, "what proved it: the certificate that was shown and how it was checked, the recording that was looked at, the letter that was answered")
}

func registrationSchemas() []Schema {
	return []Schema{
		{CertificatePresented, ResultNone, "Somebody has shown a certificate at the certificate door, which found it good.", with([]Field{
			procedure(),
			required("serial", KindString, "serial number of the certificate").term(TermCertificate),
			evidence(),
		}, byOffice()...)},
		{PresentationRefused, ResultRefused, "Somebody has shown a certificate at the certificate door, which did not take it.", []Field{
			procedure(),
			required("reason", KindString, "code of the refusal").term(TermReason),
			optional("detail", KindString, "what of the certificate was not as it should be"),
			optional("authority", KindString, "entry of the trust list that it is of, if of any"),
			required("certificate_sha256", KindHex, "hash of the certificate"),
			optional("address", KindString, "network address that it came from"),
			optional("omitted", KindInteger, "refusals of a flood that have no entry of their own"),
		}},
		{EnrolmentOpened, ResultNone, "Somebody has proved who they are, on line, and goes on.", with([]Field{
			required("kind", KindString, "with what").one("certificate", "letter"),
			procedure(),
			optional("address", KindString, "network address that it came from"),
		}, byOffice()...)},
		{EnrolmentRefused, ResultRefused, "Somebody who has shown a certificate may not do with it what they were about.", []Field{
			procedure(),
			required("reason", KindString, "code of the refusal").term(TermReason),
			optional("address", KindString, "network address that it came from"),
		}},
	}
}
