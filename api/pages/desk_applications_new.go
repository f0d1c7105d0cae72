package pages

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

// By what a new application shows who it is.
const (
	proofKey         = "key"
	proofCertificate = "certificate"
	proofSecret      = "secret"
)

func proofs() []string { return []string{proofKey, proofCertificate, proofSecret} }

// DeskNewApplication asks for what is to be known of an application.
type DeskNewApplication struct {
	Page
	Form               DeskApplicationForm
	Scopes             DeskChoices
	SubmitURL, BackURL string
}

// DeskApplicationForm is an application as it was typed.
type DeskApplicationForm struct {
	// Client is the id that it will have, drawn with the form: one that is sent
	// twice registers one application.
	Client                      string
	Name, Organisation, Contact string
	Scopes                      []string
	Returns                     string // return addresses
	Proof                       string
	Paper                       string // key or certificate
	Private                     bool   // a private key was pasted, and is thrown away
	Reason                      string
}

// DeskSecret shows a secret, once.
type DeskSecret struct {
	Page
	Name, Client, Secret, HomeURL string
}

func (*DeskNewApplication) template() string { return "desk-new-application" }
func (*DeskSecret) template() string         { return "desk-secret" }

func newDeskNewApplication(head *Desk, form DeskApplicationForm) *DeskNewApplication {
	return &DeskNewApplication{
		Desk: head, Form: form, Scopes: newDeskChoices(deskFieldScopes, "desk.newapp.scopes", api.ClientScopes(), form.Scopes),
		SubmitURL: deskNewApplicationPath, BackURL: deskApplicationsPath,
	}
}

func (d *DeskDoor) askApplication(c echo.Context) error {
	asking, err := d.asking(c)
	if err != nil {
		return err
	}
	view := newDeskNewApplication(d.head(c, "applications"), DeskApplicationForm{
		Client: citizen.NewClientID(), Scopes: []string{api.ScopeSignature}, Proof: proofKey, Reason: asking.Reason,
	})
	view.Self = deskNewApplicationPath
	return d.show(c, http.StatusOK, view)
}

// addApplication registers an application, and shows its secret where it has one.
func (d *DeskDoor) addApplication(c echo.Context) error {
	form := readApplicationForm(c)
	view := newDeskNewApplication(d.head(c, "applications"), form)
	form.check(&view.Page)
	asking, err := d.stated(c, &view.Page)
	if err != nil {
		return err
	}
	if len(view.Problems) == 0 {
		secret, err := d.remake(c, asking, form.change(), form.Proof == proofSecret)
		switch refusal, ok := tellable(err); {
		case err == nil && form.Proof == proofSecret:
			return d.showSecret(c, form.Client, form.Name, secret)
		case err == nil:
			return seeOther(c, applicationURL(form.Client)+"?"+doneParameter+"="+newApplicationSlug)
		case !ok:
			return err
		default:
			view.Fail(newApplicationField(refusal), refusal)
		}
	}
	view.Scopes.Problem = view.Problem(deskFieldScopes)
	return d.show(c, http.StatusUnprocessableEntity, view)
}

func readApplicationForm(c echo.Context) DeskApplicationForm {
	line := func(name string) string { return policies.Line(clip(c.FormValue(name))) }
	return DeskApplicationForm{
		Client: line(deskFieldClient), Name: line(deskFieldApplication), Organisation: line(deskFieldOrganisation), Contact: line(deskFieldContact),
		Scopes: ticked(c)[deskFieldScopes], Returns: typedText(c, deskFieldReturns), Proof: line(deskFieldProof), Paper: strings.TrimSpace(typedText(c, deskFieldPaper)),
		Private: pastedPrivate(c, deskFieldPaper), Reason: line(deskFieldReason),
	}
}

// check wants to know by what the application shows who it is. The rest is for
// the signer to say.
func (f DeskApplicationForm) check(page *Page) {
	switch {
	case f.Private:
		page.Fail(deskFieldPaper, policies.Refuse(policies.QueryInvalid, "reason", "private_key"))
	case !slices.Contains(proofs(), f.Proof):
		page.Fail(deskFieldProof, policies.Refuse(policies.QueryInvalid, "reason", "client_proof"))
	case f.Proof == proofSecret && f.Paper != "":
		page.Fail(deskFieldProof, policies.Refuse(policies.QueryInvalid, "reason", "client_proof"))
	case f.Proof == proofKey && f.Paper == "":
		page.Fail(deskFieldPaper, policies.Refuse(policies.QueryInvalid, "reason", "client_key"))
	case f.Proof == proofCertificate && f.Paper == "":
		page.Fail(deskFieldPaper, policies.Refuse(policies.QueryInvalid, "reason", "client_certificate"))
	}
}

// change is the form as the office says it.
func (f DeskApplicationForm) change() citizen.ApplicationChange {
	n := citizen.NewApplication{
		Name: f.Name, Organisation: f.Organisation, Scopes: f.Scopes, ReturnAddresses: strings.Fields(f.Returns), Contact: f.Contact,
	}
	switch f.Proof {
	case proofKey:
		n.Keys = f.Paper
	case proofCertificate:
		n.Certificate = f.Paper
	}
	return citizen.ApplicationChange{Application: f.Client, What: citizen.ApplicationAdded, New: &n}
}

// newApplicationField is beside which field a refusal stands.
func newApplicationField(refusal *policies.Refusal) string {
	if refusal.Code != policies.QueryInvalid {
		return ""
	}
	return map[string]string{
		"application_name": deskFieldApplication, "application_organisation": deskFieldOrganisation, "contact": deskFieldContact,
		"scopes": deskFieldScopes, "return_address": deskFieldReturns,
		"client_key": deskFieldPaper, "client_certificate": deskFieldPaper, "key_known": deskFieldPaper, "application_long": deskFieldPaper,
	}[refusal.Params["reason"]]
}
