package pages

import (
	"encoding/hex"
	"slices"
	"time"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
)

// The views of applications at the officers' desk.

// Names of their form fields.
const (
	deskFieldContact     = "contacto"
	deskFieldCalls       = "llamadas"
	deskFieldAddress     = "direccion"
	deskFieldKey         = "clave"
	deskFieldFrom        = "desde"
	deskFieldUntil       = "hasta"
	deskFieldCertificate = "certificado"
	deskFieldDoors       = "puertas"
	deskFieldFormats     = "formatos"
	deskFieldLevels      = "niveles"
	deskFieldWebhook     = "avisos"
	deskFieldFormer      = "anterior"

	// Of an application to be registered.
	deskFieldClient       = "cliente"
	deskFieldApplication  = "aplicacion"
	deskFieldOrganisation = "organismo"
	deskFieldScopes       = "permisos"
	deskFieldReturns      = "direcciones"
	deskFieldProof        = "prueba"
	deskFieldPaper        = "credencial"
)

// deskTextLimit is the length in bytes of a key or a certificate.
const deskTextLimit = 5000

// application makes a field of theirs, if it is one.
func (f *DeskField) application(page *Page) bool {
	switch f.Name {
	case deskFieldContact:
		f.Hint, f.Optional = true, true
	case deskFieldCalls:
		f.InputMode, f.Width, f.MaxLength, f.Hint, f.Optional = "numeric", "short", 5, true, true
	case deskFieldAddress, deskFieldWebhook:
		f.Type, f.InputMode, f.MaxLength, f.Hint = "url", "url", 2000, true
	case deskFieldKey, deskFieldCertificate:
		f.Type, f.MaxLength, f.Hint = "textarea", deskTextLimit, true
	case deskFieldApplication, deskFieldOrganisation:
		f.MaxLength, f.Hint = 100, true
	case deskFieldReturns:
		f.Type, f.MaxLength, f.Rows, f.Hint = "textarea", deskTextLimit, 3, true
	case deskFieldPaper:
		f.Type, f.MaxLength, f.Hint = "textarea", deskTextLimit, true
	case deskFieldProof:
		f.Choices, f.Hint = proofs(), true
	case deskFieldFrom, deskFieldUntil:
		f.Type, f.Width = "date", "date"
		return true
	case deskFieldFormer:
		f.Type, f.Width, f.Hint, f.Optional = "date", "date", true, true
	default:
		return false
	}
	f.Focus = len(page.Problems) == 0
	return true
}

// DeskApplications lists applications and offices.
type DeskApplications struct {
	Page
	Applications []DeskApplicationRow
	AddURL       string
}

// DeskApplicationRow is one of them in the list.
type DeskApplicationRow struct {
	signer.RegisteredClient

	URL string
}

// Office is whether it registers people.
func (r DeskApplicationRow) Office() bool { return isOffice(r.RegisteredClient) }

func isOffice(r signer.RegisteredClient) bool {
	return slices.Contains(r.Scopes, api.ScopeRegistration)
}

// DeskApplication is one application.
type DeskApplication struct {
	Page
	App  signer.RegisteredClient
	Done string // the change just made; its words are desk.app.<Done>.done
	// FormerUntil is until when the former secret is good, zero if it is not.
	FormerUntil time.Time
	// Keys and Certificates are by what it shows who it is, Returns where browsers
	// may come back to.
	Keys, Certificates []DeskPaper
	Returns            []DeskReturn
	Webhooks           []DeskReturn
	Switches           []DeskSwitch
	// The ways to its changes; of EnableURL and DisableURL there is one, and an
	// office's scopes stay.
	ContactURL, ScopesURL, LimitsURL, KeyURL, CertificateURL, SecretURL, ReturnURL, WebhookURL, DisableURL, EnableURL, BackURL string
}

// DeskPaper is a key or a certificate, by its id.
type DeskPaper struct {
	ID                 string
	From, Until, Added time.Time
	State              string // good, ending, later or over
	UntilURL           string // to move its end
	RemoveURL          string
}

// DeskReturn is where browsers come back to, or where the application is told.
type DeskReturn struct {
	Address, RemoveURL string
	Stopped            bool // it answered that it is gone, and is told no more
}

// DeskSwitch is something that is relaxed, or not; its words are desk.switch.<Name>.
type DeskSwitch struct {
	Name string
	On   bool
	URL  string // to turn it
}

// endingSoon is how long before its end a key is told to be ending.
const endingSoon = 30 * 24 * time.Hour

func newDeskPaper(from, until, added, now time.Time) DeskPaper {
	p := DeskPaper{From: from, Until: until, Added: added, State: "good"}
	switch {
	case now.Before(from):
		p.State = "later"
	case !now.Before(until):
		p.State = "over"
	case until.Sub(now) < endingSoon:
		p.State = "ending"
	}
	return p
}

func newDeskApplication(r signer.RegisteredClient, now time.Time) *DeskApplication {
	way := func(slug, about string) string { return changeURL(r.ID, slug, about) }
	v := &DeskApplication{
		App: r, ContactURL: way("contacto", ""), LimitsURL: way("limites", ""), KeyURL: way("clave", ""), CertificateURL: way("certificado", ""), SecretURL: way("secreto", ""),
		ReturnURL: way("direccion", ""), WebhookURL: way("avisos", ""), BackURL: deskApplicationsPath,
	}
	if !isOffice(r) {
		v.ScopesURL = way("permisos", "")
	}
	if len(r.SecretHashes(now)) > 1 {
		v.FormerUntil = r.FormerSecretUntil
	}
	for _, k := range r.Keys {
		p := newDeskPaper(k.NotBefore, k.NotAfter, k.AddedAt, now)
		p.ID, p.UntilURL, p.RemoveURL = k.ID, way("fin-clave", k.ID), way("quitar-clave", k.ID)
		v.Keys = append(v.Keys, p)
	}
	for _, k := range r.Certificates {
		p := newDeskPaper(k.NotBefore, k.NotAfter, k.AddedAt, now)
		p.ID = hex.EncodeToString(k.SHA256)
		p.UntilURL, p.RemoveURL = way("fin-certificado", p.ID), way("quitar-certificado", p.ID)
		v.Certificates = append(v.Certificates, p)
	}
	for _, address := range r.ReturnAddresses {
		v.Returns = append(v.Returns, DeskReturn{Address: address, RemoveURL: way("quitar-direccion", address)})
	}
	for _, w := range r.Webhooks {
		v.Webhooks = append(v.Webhooks, DeskReturn{Address: w.URL, RemoveURL: way("quitar-avisos", w.ID), Stopped: !w.StoppedAt.IsZero()})
	}
	for _, name := range signer.Switches() {
		slug := "relajar"
		if r.Has(name) {
			slug = "exigir"
		}
		v.Switches = append(v.Switches, DeskSwitch{name, r.Has(name), way(slug, name)})
	}
	if r.Enabled {
		v.DisableURL = way("desactivar", "")
	} else {
		v.EnableURL = way("activar", "")
	}
	return v
}

// DeskChange asks for what a change of an application needs, and tells what it
// does before it is done.
type DeskChange struct {
	Page
	App    signer.RegisteredClient
	Change string // its words are desk.app.<Change>
	// About is what of the application it is about, empty where it is all of it; it
	// is shown as Named.
	About, Named       string
	Switch             bool // About is the name of one
	Danger             bool
	Fields             []DeskField
	Choices            []DeskChoices
	Reason             DeskField
	SubmitURL, BackURL string

	until time.Time // when it ends, as it is
}

// DeskChoices are names of which any number may be ticked. Their words are
// desk.field.<Name> and desk.choice.<Name>.as_<value>; Hint is where those of the
// hint are.
type DeskChoices struct {
	Name, Hint string
	Choices    []DeskTick
	Problem    *policies.Refusal
}

// DeskTick is one of them.
type DeskTick struct {
	Value   string
	Checked bool
}

func newDeskChange(r signer.RegisteredClient, x remake) *DeskChange {
	return &DeskChange{App: r, Change: string(x.what), Switch: x.slug == "relajar" || x.slug == "exigir", Danger: x.danger, BackURL: applicationURL(r.ID)}
}

// fill makes the fields of a change, the reason last.
func (v *DeskChange) fill(x remake, typed func(name string) string) (err error) {
	v.Fields = nil
	for _, name := range x.fields {
		field, err := newDeskField(&v.Page, name, typed(name))
		if err != nil {
			return err
		}
		v.Fields = append(v.Fields, field)
	}
	v.Reason, err = newDeskField(&v.Page, deskFieldReason, typed(deskFieldReason))
	return err
}

// choose makes the choices of the scopes or of the limits.
func (v *DeskChange) choose(taken citizen.ApplicationChange) {
	switch citizen.ApplicationAspect(v.Change) { //nolint:exhaustive // the others have none
	case citizen.ApplicationScopes:
		choices := newDeskChoices(deskFieldScopes, "desk.newapp.scopes", api.ClientScopes(), taken.Scopes)
		choices.Problem = v.Problem(deskFieldScopes)
		v.Choices = []DeskChoices{choices}
	case citizen.ApplicationLimits:
		v.Choices = limitChoices(taken)
	}
}

func limitChoices(taken citizen.ApplicationChange) (choices []DeskChoices) {
	for _, group := range []struct {
		name       string
		all, taken []string
	}{
		{deskFieldDoors, signer.Doors(), taken.Doors},
		{deskFieldFormats, named(signer.Formats()), taken.Formats},
		{deskFieldLevels, named(cades.Levels()), taken.Levels},
	} {
		choices = append(choices, newDeskChoices(group.name, "desk.app.none_ticked", group.all, group.taken))
	}
	return choices
}

func newDeskChoices(name, hint string, all, taken []string) DeskChoices {
	choices := DeskChoices{Name: name, Hint: hint}
	for _, value := range all {
		choices.Choices = append(choices.Choices, DeskTick{value, slices.Contains(taken, value)})
	}
	return choices
}

func (*DeskApplications) template() string { return "desk-applications" }
func (*DeskApplication) template() string  { return "desk-application" }
func (*DeskChange) template() string       { return "desk-change" }
