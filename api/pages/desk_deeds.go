package pages

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api/desk"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// deed is an act that a file offers. Whether it can be done is told here so that
// nobody is led astray; the signer decides.
type deed struct {
	slug   string
	kind   citizen.ActKind
	danger bool // it ends something, or keeps somebody from signing
	fields []string
	// possible is whether the act makes sense for whom the file is about.
	possible func(citizen.File) bool
}

func deeds() []deed {
	here := func(f citizen.File) bool { return f.Status == signer.Registered || f.Status == signer.Active }
	known := func(f citizen.File) bool { return !f.Status.Gone() }
	status := func(s signer.CitizenStatus) func(citizen.File) bool {
		return func(f citizen.File) bool { return f.Status == s }
	}
	certificate := func(suspended bool) func(citizen.File) bool {
		return func(f citizen.File) bool {
			i, has := inForce(f)
			return has && known(f) && i.Suspended() == suspended
		}
	}
	return []deed{
		{"renovar", citizen.ActRenewRegistration, false, []string{deskFieldDocument, deskFieldPassport, deskFieldDocumentUntil}, known},
		{"codigo", citizen.ActRenewActivation, false, nil, here},
		{"movil", citizen.ActChangePhone, false, []string{deskFieldPhone, deskFieldUndocumented}, known},
		{"correo", citizen.ActChangeEmail, false, []string{deskFieldMail}, known},
		{"desbloquear", citizen.ActUnblock, false, nil, status(signer.Blocked)},
		{"levantar", citizen.ActRelease, false, nil, certificate(true)},
		{"bloquear", citizen.ActBlock, true, nil, status(signer.Active)},
		{"suspender", citizen.ActSuspend, true, nil, certificate(false)},
		{"revocar", citizen.ActRevoke, true, []string{deskFieldCRLReason}, func(f citizen.File) bool { return known(f) && !f.Password.IsZero() }},
		{"baja", citizen.ActDeregister, true, nil, known},
		{"fallecimiento", citizen.ActReportDeath, true, []string{deskFieldCertified}, func(f citizen.File) bool { return f.Status != signer.Deceased }},
		{"rectificacion", citizen.ActCorrectDeath, true, nil, status(signer.Deceased)},                                        // by two officers
		{"incidencia", citizen.ActCloseIncident, false, []string{deskFieldOutcome}, func(citizen.File) bool { return false }}, // from the list of incidents
	}
}

func deedAt(slug string) (deed, bool) {
	all := deeds()
	i := slices.IndexFunc(all, func(x deed) bool { return x.slug == slug })
	if i < 0 {
		return deed{}, false
	}
	return all[i], true
}

// inForce is the certificate whose key is there and that has not ended; one
// that is suspended counts.
func inForce(f citizen.File) (citizen.Issued, bool) {
	for _, i := range f.Issued {
		if i.Live && (i.RevokedAt.IsZero() || i.Suspended()) {
			return i, true
		}
	}
	return citizen.Issued{}, false
}

// caseParameter names the incident that an act closes.
const caseParameter = "incidencia"

// deedView is the form of an act on the person of the address.
func (d *DeskDoor) deedView(c echo.Context, typed func(name string) string) (*DeskAct, deed, desk.File, error) {
	x, ok := deedAt(c.Param("act"))
	if !ok {
		return nil, x, desk.File{}, policies.Refuse(policies.NotFound)
	}
	asking, err := d.asking(c)
	if err != nil {
		return nil, x, desk.File{}, err
	}
	file, err := d.Counter.File(c.Request().Context(), asking, c.Param("id"))
	if err != nil {
		return nil, x, file, err
	}
	_, certified := inForce(file.File)
	view := &DeskAct{
		Self: c.Request().URL.RequestURI(), Desk: d.head(c, "search"), Act: string(x.kind), Person: deskPerson(file.Citizen), Certified: certified, Danger: x.danger, Hours: int(d.CoolOff / time.Hour),
		SubmitURL: c.Request().URL.RequestURI(), BackURL: fileURL(file.ID),
	}
	if x.kind == citizen.ActCloseIncident {
		i := slices.IndexFunc(file.Incidents, func(k citizen.Case) bool { return k.ID == c.QueryParam(caseParameter) && k.ClosedAt.IsZero() })
		if i < 0 {
			return nil, x, file, policies.Refuse(policies.NotFound)
		}
		view.Case = &file.Incidents[i]
	}
	return view, x, file, view.fill(x, typed)
}

// fill makes the fields of an act; the reason is the last.
func (v *DeskAct) fill(x deed, typed func(name string) string) error {
	v.Fields = nil
	for _, name := range append(slices.Clone(x.fields), deskFieldReason) {
		field, err := newDeskField(&v.Page, name, typed(name))
		if err != nil {
			return err
		}
		v.Fields = append(v.Fields, field)
	}
	v.Fields[0].Focus = len(v.Problems) == 0
	return nil
}

func (d *DeskDoor) askAct(c echo.Context) error {
	asking, err := d.asking(c)
	if err != nil {
		return err
	}
	view, _, _, err := d.deedView(c, func(name string) string {
		if name == deskFieldReason {
			return asking.Reason
		}
		return ""
	})
	if err != nil {
		return err
	}
	return d.show(c, http.StatusOK, view)
}

// act does what the form asks for, and leads back to the file; a receipt is
// shown at once, because its code is kept nowhere.
func (d *DeskDoor) act(c echo.Context) error {
	typed := func(name string) string { return clip(c.FormValue(name)) }
	view, x, file, err := d.deedView(c, typed)
	if err != nil {
		return err
	}
	act := desk.Act{Kind: x.kind, CitizenID: file.ID, Identifier: file.Identifier}
	readDeed(&act, typed, &view.Page)
	if view.Case != nil {
		act.Subject = view.Case.ID
	}
	asking, err := d.stating(c)
	if refusal, ok := asRefusal(err); ok && refusal.Code == policies.ReasonMissing {
		view.Fail(deskFieldReason, refusal)
	} else if err != nil {
		return err
	}
	if len(view.Problems) == 0 {
		var answered bool
		if answered, err = d.carryOut(c, asking, act, file); answered || err == nil {
			return err
		}
		refusal, ok := asRefusal(err)
		if !ok || refusal.Code == policies.SessionExpired {
			return err
		}
		view.Fail(fieldOf(refusal, x.fields), refusal)
	}
	if err := view.fill(x, typed); err != nil {
		return err
	}
	return d.show(c, http.StatusUnprocessableEntity, view)
}

// carryOut is true if it has answered the request.
func (d *DeskDoor) carryOut(c echo.Context, asking desk.Asking, act desk.Act, file desk.File) (answered bool, err error) {
	// What the office has signed is done though the browser leaves.
	ctx := context.WithoutCancel(c.Request().Context())
	if act.WithoutDocument || act.Kind == citizen.ActCorrectDeath {
		order, err := d.Counter.Ask(ctx, asking, act)
		if err != nil {
			return false, err
		}
		return true, seeOther(c, orderURL(order.ID)+"?"+askedParameter+"=1")
	}
	receipt, err := d.Counter.Do(ctx, asking, act)
	if err != nil {
		return false, err
	}
	switch act.Kind { //nolint:exhaustive // the others leave no receipt
	case citizen.ActRenewActivation, citizen.ActRenewRegistration:
		r := d.registrationReceipt(asking.Officer, file.Citizen, receipt)
		r.Kind = ReceiptActivation
		if act.Kind == citizen.ActRenewRegistration {
			r.Kind, r.Mode, r.Level = ReceiptRenewed, string(policies.ModeOffice), string(policies.LevelAdvanced)
			if until, err := time.Parse(time.DateOnly, act.DocumentUntil); err == nil {
				r.DocumentUntil = until
			}
		}
		return true, d.showReceipt(c, r, fileURL(file.ID))
	}
	deed := deeds()[slices.IndexFunc(deeds(), func(x deed) bool { return x.kind == act.Kind })]
	return true, seeOther(c, fileURL(file.ID)+"?"+doneParameter+"="+deed.slug)
}

// readDeed reads what the act needs. Everything that cannot be read is told at
// once, beside its field.
func readDeed(act *desk.Act, typed func(name string) string, page *Page) {
	try := func(field string, err error) {
		if refusal, ok := asRefusal(err); ok {
			page.Fail(field, refusal)
		}
	}
	switch act.Kind { //nolint:exhaustive // the others need a reason and nothing else
	case citizen.ActRenewRegistration:
		act.DocumentUntil = typed(deskFieldDocumentUntil)
		try(deskFieldDocumentUntil, documentInForce(act.DocumentUntil))
		act.Document, act.Passport = desk.Document(typed(deskFieldDocument)), typed(deskFieldPassport)
		field, err := checkDocument(act)
		try(field, err)
	case citizen.ActChangePhone:
		phone, err := citizen.ParsePhone(typed(deskFieldPhone))
		try(deskFieldPhone, err)
		act.Phone, act.WithoutDocument = phone.String(), typed(deskFieldUndocumented) != ""
	case citizen.ActChangeEmail:
		email, err := citizen.ParseEmail(typed(deskFieldMail))
		try(deskFieldMail, err)
		act.Email = email.String()
	case citizen.ActRevoke:
		act.CRLWord = typed(deskFieldCRLReason)
	case citizen.ActReportDeath:
		certified, err := desk.Told(desk.OfCertificate, typed(deskFieldCertified))
		try(deskFieldCertified, err)
		act.Certified = certified
	case citizen.ActCloseIncident:
		outcome, err := desk.Told(desk.OfOutcome, typed(deskFieldOutcome))
		try(deskFieldOutcome, err)
		act.Outcome = outcome
	}
}

// fieldOf is beside which field of the form a refusal of the signer stands.
func fieldOf(refusal *policies.Refusal, fields []string) string {
	field := map[policies.Code]string{
		policies.PhoneInvalid: deskFieldPhone, policies.PhoneTaken: deskFieldPhone, policies.PhoneRefused: deskFieldPhone, policies.EmailInvalid: deskFieldMail,
		policies.IdentityDocumentExpiry: deskFieldDocumentUntil, policies.IdentifierInvalid: deskFieldDNI, policies.CitizenExists: deskFieldDNI,
		policies.NameInvalid: deskFieldGivenName, policies.ReasonMissing: deskFieldReason,
	}[refusal.Code]
	if refusal.Code == policies.NameInvalid && refusal.Params["field"] == "surnames" {
		field = deskFieldSurnames
	}
	if !slices.Contains(fields, field) {
		return ""
	}
	return field
}
