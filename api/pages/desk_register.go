package pages

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api/desk"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// beginField says that a form is to be begun with what it carries, not sent.
const beginField = "empezar"

func (d *DeskDoor) registerView(c echo.Context, form DeskForm) *DeskRegister {
	return &DeskRegister{Desk: d.head(c, "register"), Form: form, SubmitURL: deskRegisterPath}
}

func (d *DeskDoor) askRegister(c echo.Context) error {
	asking, err := d.asking(c)
	if err != nil {
		return err
	}
	view := d.registerView(c, DeskForm{Document: string(desk.DNI), Locale: "es", Reason: asking.Reason})
	view.Self = deskRegisterPath
	return d.show(c, http.StatusOK, view)
}

// register writes a person down, registers them, and shows the receipt.
func (d *DeskDoor) register(c echo.Context) error {
	read := func(name string) string { return strings.TrimSpace(clip(c.FormValue(name))) }
	form := DeskForm{
		Document: read(deskFieldDocument), Passport: read(deskFieldPassport), Identifier: read(deskFieldDNI), GivenName: read(deskFieldGivenName), Surnames: read(deskFieldSurnames),
		Phone: read(deskFieldPhone), Email: read(deskFieldMail), DocumentUntil: read(deskFieldDocumentUntil), Locale: read(deskFieldLocale), Reason: read(deskFieldReason),
	}
	if c.FormValue(beginField) != "" {
		return d.begin(c, form)
	}
	view := d.registerView(c, form)
	act := form.check(&view.Page)
	asking, err := d.stating(c)
	if refusal, ok := asRefusal(err); ok && refusal.Code == policies.ReasonMissing {
		view.Fail(deskFieldReason, refusal)
	} else if err != nil {
		return err
	}
	if len(view.Problems) > 0 {
		return d.show(c, http.StatusUnprocessableEntity, view)
	}
	receipt, err := d.Counter.Do(context.WithoutCancel(c.Request().Context()), asking, act)
	if refusal, ok := asRefusal(err); ok && refusal.Code != policies.SessionExpired {
		view.Fail(fieldOf(refusal, []string{deskFieldDNI, deskFieldGivenName, deskFieldSurnames, deskFieldPhone, deskFieldMail, deskFieldDocumentUntil}), refusal)
		return d.show(c, http.StatusUnprocessableEntity, view)
	}
	if err != nil {
		return err
	}
	return d.showReceipt(c, d.registrationReceipt(asking.Officer, personRecord(*act.Person), receipt), fileURL(receipt.CitizenID))
}

// begin shows the form with what is known already (WCAG 2.2, criterion 3.3.7).
func (d *DeskDoor) begin(c echo.Context, form DeskForm) error {
	form.Document = string(desk.DNI)
	if id, err := citizen.ParseIdentifier(form.Identifier); err == nil && strings.ContainsAny(id.String()[:1], "XYZ") {
		form.Document = string(desk.NIE)
	}
	if form.Locale == "" {
		form.Locale = "es"
	}
	if form.Reason == "" { // that of the search
		asking, err := d.asking(c)
		if err != nil {
			return err
		}
		form.Reason = asking.Reason
	}
	return d.show(c, http.StatusOK, d.registerView(c, form))
}

// check reads the form. Everything that cannot be read is told at once.
func (f DeskForm) check(page *Page) desk.Act {
	try := func(field string, err error) {
		if refusal, ok := asRefusal(err); ok {
			page.Fail(field, refusal)
		}
	}
	act := desk.Act{
		Kind: citizen.ActRegister, Identifier: f.Identifier, Document: desk.Document(f.Document), Passport: f.Passport,
		Person: &desk.Person{
			Identifier: f.Identifier, GivenName: f.GivenName, Surnames: f.Surnames, Phone: f.Phone, Email: f.Email, DocumentUntil: f.DocumentUntil, Locale: f.Locale,
		},
	}
	if _, err := citizen.ParseIdentifier(f.Identifier); err != nil {
		try(deskFieldDNI, err)
	} else {
		field, err := checkDocument(&act)
		try(field, err)
	}
	if _, err := citizen.ParseName(f.GivenName, "Pérez"); err != nil {
		try(deskFieldGivenName, err)
	}
	if _, err := citizen.ParseName("Ana", f.Surnames); err != nil {
		try(deskFieldSurnames, err)
	}
	try(deskFieldDocumentUntil, documentInForce(f.DocumentUntil))
	_, err := citizen.ParsePhone(f.Phone)
	try(deskFieldPhone, err)
	_, err = citizen.ParseEmail(f.Email)
	try(deskFieldMail, err)
	return act
}

// documentInForce is the form of a last day; whether it is past, the signer says.
func documentInForce(until string) error {
	if _, err := time.Parse(time.DateOnly, until); err != nil {
		return policies.Refuse(policies.IdentityDocumentExpiry).From(policies.SourceRegister)
	}
	return nil
}

// passportForm is the number of a Spanish passport: three letters, six digits.
var passportForm = regexp.MustCompile(`^[A-Z]{3}[0-9]{6}$`)

// checkDocument holds the document that was shown against the number that was
// typed: DNI and NIE each name their own, and the holder of a Spanish passport
// has a DNI.
func checkDocument(act *desk.Act) (field string, err error) {
	id, err := citizen.ParseIdentifier(act.Identifier)
	if err != nil {
		return deskFieldDNI, err
	}
	foreign := strings.ContainsAny(id.String()[:1], "XYZ")
	switch act.Document {
	case desk.DNI:
		act.Passport = ""
		return mismatched(foreign)
	case desk.NIE:
		act.Passport = ""
		return mismatched(!foreign)
	case desk.Passport:
		act.Passport = strings.ToUpper(compact(act.Passport))
		if !passportForm.MatchString(act.Passport) {
			return deskFieldPassport, policies.Refuse(policies.IdentifierInvalid, "reason", "passport")
		}
		return mismatched(foreign)
	default:
		return deskFieldDocument, policies.Refuse(policies.IdentifierInvalid, "reason", "document")
	}
}

func mismatched(is bool) (string, error) {
	if is {
		return deskFieldDocument, policies.Refuse(policies.IdentifierInvalid, "reason", "document")
	}
	return "", nil
}

// registrationReceipt is what the citizen takes home.
func (d *DeskDoor) registrationReceipt(o desk.Officer, c signer.Citizen, r citizen.Receipt) RegistrationReceipt {
	receipt := RegistrationReceipt{
		Kind: ReceiptRegistered, Name: c.GivenName + " " + c.Surnames, Identifier: c.Identifier, Phone: c.Phone, Email: c.Email, DocumentUntil: c.DocumentUntil,
		Mode: c.Registration.Mode, Level: c.Registration.Level, AssuredAt: r.RegisteredAt, Office: d.Offices[o.Office], Officer: o.Name, IssuedAt: d.Now(), ServiceURL: d.ServiceURL,
	}
	if r.ActivationCode.Reveal() != "" {
		receipt.ActivationCode = r.ActivationCode.Print()
	}
	return receipt
}

// personRecord is a person as the record is going to be.
func personRecord(p desk.Person) signer.Citizen {
	until, err := time.Parse(time.DateOnly, p.DocumentUntil)
	if err != nil {
		until = time.Time{} // and is not told
	}
	c := signer.Citizen{
		Identifier: p.Identifier, GivenName: p.GivenName, Surnames: p.Surnames, Phone: p.Phone, Email: p.Email, Locale: p.Locale, DocumentUntil: until,
		Registration: signer.Registration{Mode: string(policies.ModeOffice), Level: string(policies.LevelAdvanced)},
	}
	if id, err := citizen.ParseIdentifier(p.Identifier); err == nil {
		c.Identifier = id.String()
	}
	if phone, err := citizen.ParsePhone(p.Phone); err == nil {
		c.Phone = phone.String()
	}
	return c
}
