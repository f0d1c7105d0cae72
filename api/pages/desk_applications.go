package pages

import (
	"cmp"
	"context"
	"encoding/hex"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api/desk"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// Administrator is what supervisors do with applications. *desk.Service fulfils
// it, and tells the log.
type Administrator interface {
	Applications(ctx context.Context, a desk.Asking) ([]signer.RegisteredClient, error)
	Application(ctx context.Context, a desk.Asking, id string) (signer.RegisteredClient, error)
	// ChangeApplication refuses what it cannot read (policies.QueryInvalid); so does
	// GiveSecret, which makes a change that comes with a secret.
	ChangeApplication(ctx context.Context, a desk.Asking, c citizen.ApplicationChange) error
	GiveSecret(ctx context.Context, a desk.Asking, c citizen.ApplicationChange) (citizen.Secret, error)
}

const (
	deskApplicationsPath   = deskPath + "/aplicaciones"
	deskNewApplicationPath = deskApplicationsPath + "/" + newApplicationSlug
	newApplicationSlug     = "nueva"
	// aboutParameter is what of the application a change is about.
	aboutParameter = "de"
)

func (d *DeskDoor) applicationRoutes(g *echo.Group) {
	supervises := d.Officers.Require(desk.RoleSupervisor)
	g.GET(deskApplicationsPath, d.applications, supervises, d.reasoned)
	g.GET(deskNewApplicationPath, d.askApplication, supervises, d.reasoned)
	g.POST(deskNewApplicationPath, d.addApplication, supervises, d.reasoned)
	g.GET(deskApplicationsPath+"/:id", d.application, supervises, d.reasoned)
	g.GET(deskApplicationsPath+"/:id/:change", d.askChange, supervises, d.reasoned)
	g.POST(deskApplicationsPath+"/:id/:change", d.change, supervises, d.reasoned)
}

func applicationURL(id string) string { return deskApplicationsPath + "/" + url.PathEscape(id) }

func changeURL(id, slug, about string) string {
	address := applicationURL(id) + "/" + slug
	if about != "" {
		address += "?" + url.Values{aboutParameter: {about}}.Encode()
	}
	return address
}

// remake is a change that the page of an application offers.
type remake struct {
	slug   string
	what   citizen.ApplicationAspect
	danger bool
	about  bool // it is about one of several: its address says which
	fields []string
}

func remakes() []remake {
	return []remake{
		{slug: "contacto", what: citizen.ApplicationContact, fields: []string{deskFieldContact}},
		{slug: "permisos", what: citizen.ApplicationScopes},
		{slug: "limites", what: citizen.ApplicationLimits, fields: []string{deskFieldCalls}},
		{slug: "direccion", what: citizen.RedirectAdded, fields: []string{deskFieldAddress}},
		{slug: "quitar-direccion", what: citizen.RedirectRemoved, danger: true, about: true},
		{slug: "clave", what: citizen.KeyAdded, fields: []string{deskFieldKey, deskFieldFrom, deskFieldUntil}},
		{slug: "fin-clave", what: citizen.KeyUntil, about: true, fields: []string{deskFieldUntil}},
		{slug: "quitar-clave", what: citizen.KeyRemoved, danger: true, about: true},
		{slug: "certificado", what: citizen.CertificateAdded, fields: []string{deskFieldCertificate}},
		{slug: "fin-certificado", what: citizen.CertificateUntil, about: true, fields: []string{deskFieldUntil}},
		{slug: "quitar-certificado", what: citizen.CertificateRemoved, danger: true, about: true},
		{slug: "secreto", what: citizen.SecretReplaced, danger: true, fields: []string{deskFieldFormer}},
		{slug: "avisos", what: citizen.WebhookAdded, fields: []string{deskFieldWebhook}},
		{slug: "quitar-avisos", what: citizen.WebhookRemoved, danger: true, about: true},
		{slug: "relajar", what: citizen.ApplicationSwitchedOn, danger: true, about: true},
		{slug: "exigir", what: citizen.ApplicationSwitchedOff, about: true},
		{slug: "desactivar", what: citizen.ApplicationDisabled, danger: true},
		{slug: "activar", what: citizen.ApplicationEnabled},
	}
}

func remakeAt(slug string) (remake, bool) {
	all := remakes()
	i := slices.IndexFunc(all, func(r remake) bool { return r.slug == slug })
	if i < 0 {
		return remake{}, false
	}
	return all[i], true
}

func (d *DeskDoor) applications(c echo.Context) error {
	asking, err := d.asking(c)
	if err != nil {
		return err
	}
	all, err := d.Counter.Applications(c.Request().Context(), asking)
	if err != nil {
		return err
	}
	view := &DeskApplications{Self: deskApplicationsPath, Desk: d.head(c, "applications"), AddURL: deskNewApplicationPath}
	for _, r := range all {
		view.Applications = append(view.Applications, DeskApplicationRow{r, applicationURL(r.ID)})
	}
	return d.show(c, http.StatusOK, view)
}

// known is the application of the address.
func (d *DeskDoor) known(c echo.Context) (signer.RegisteredClient, desk.Asking, error) {
	asking, err := d.asking(c)
	if err != nil {
		return signer.RegisteredClient{}, asking, err
	}
	r, err := d.Counter.Application(c.Request().Context(), asking, c.Param("id"))
	if refusal, ok := asRefusal(err); ok && refusal.Code == policies.ApplicationUnknown {
		err = policies.Refuse(policies.NotFound)
	}
	return r, asking, err
}

func (d *DeskDoor) application(c echo.Context) error {
	r, _, err := d.known(c)
	if err != nil {
		return err
	}
	view := newDeskApplication(r, d.Now())
	view.Self, view.Desk = c.Request().URL.RequestURI(), d.head(c, "applications")
	if slug := c.QueryParam(doneParameter); slug == newApplicationSlug {
		view.Done = string(citizen.ApplicationAdded)
	} else if done, ok := remakeAt(slug); ok {
		view.Done = string(done.what)
	}
	return d.show(c, http.StatusOK, view)
}

// changeView is the form of a change.
func (d *DeskDoor) changeView(c echo.Context) (*DeskChange, remake, desk.Asking, error) {
	x, ok := remakeAt(c.Param("change"))
	if !ok {
		return nil, x, desk.Asking{}, policies.Refuse(policies.NotFound)
	}
	r, asking, err := d.known(c)
	if err != nil {
		return nil, x, asking, err
	}
	if x.what == citizen.ApplicationScopes && isOffice(r) {
		return nil, x, asking, policies.Refuse(policies.NotFound) // it stays what it is
	}
	view := newDeskChange(r, x)
	view.Self, view.Desk, view.SubmitURL = c.Request().URL.RequestURI(), d.head(c, "applications"), c.Request().URL.RequestURI()
	if x.about {
		view.About = c.QueryParam(aboutParameter)
		one, ok := oneOf(r, x.what, view.About)
		if !ok {
			return nil, x, asking, policies.Refuse(policies.NotFound)
		}
		view.Named, view.until = cmp.Or(one.name, view.About), one.until
	}
	return view, x, asking, nil
}

// one is what a change is about: what it is called, if not by its id, and until
// when it is good.
type one struct {
	name  string
	until time.Time
}

// oneOf is that of an application which a change names.
func oneOf(r signer.RegisteredClient, what citizen.ApplicationAspect, id string) (o one, ok bool) {
	switch what { //nolint:exhaustive // the others are about the application
	case citizen.RedirectRemoved:
		return o, slices.Contains(r.ReturnAddresses, id)
	case citizen.KeyUntil, citizen.KeyRemoved:
		for _, k := range r.Keys {
			if k.ID == id {
				return one{until: k.NotAfter}, true
			}
		}
	case citizen.CertificateUntil, citizen.CertificateRemoved:
		for _, k := range r.Certificates {
			if hex.EncodeToString(k.SHA256) == id {
				return one{until: k.NotAfter}, true
			}
		}
	case citizen.WebhookRemoved:
		for _, w := range r.Webhooks {
			if w.ID == id {
				return one{name: w.URL}, true
			}
		}
	case citizen.ApplicationSwitchedOn:
		return o, slices.Contains(signer.Switches(), id) && !r.Has(id)
	case citizen.ApplicationSwitchedOff:
		return o, r.Has(id)
	}
	return o, false
}

func (d *DeskDoor) askChange(c echo.Context) error {
	view, x, asking, err := d.changeView(c)
	if err != nil {
		return err
	}
	now := d.Now().UTC()
	given := map[string]string{
		deskFieldReason: asking.Reason, deskFieldContact: view.App.Contact, deskFieldFrom: now.Format(time.DateOnly), deskFieldUntil: now.AddDate(signer.KeyLife, 0, 0).Format(time.DateOnly),
	}
	if !view.until.IsZero() {
		given[deskFieldUntil] = view.until.Add(-time.Nanosecond).UTC().Format(time.DateOnly) // the last day
	}
	if view.App.Calls > 0 {
		given[deskFieldCalls] = strconv.Itoa(view.App.Calls)
	}
	if err := view.fill(x, func(name string) string { return given[name] }); err != nil {
		return err
	}
	view.choose(asItIs(view.App))
	return d.show(c, http.StatusOK, view)
}

// change makes a change and leads back to the application.
func (d *DeskDoor) change(c echo.Context) error {
	view, x, _, err := d.changeView(c)
	if err != nil {
		return err
	}
	wanted := readChange(c, x, view)
	asking, err := d.stated(c, &view.Page)
	if err != nil {
		return err
	}
	if len(view.Problems) == 0 {
		secret, err := d.remake(c, asking, wanted, x.what == citizen.SecretReplaced)
		switch refusal, ok := tellable(err); {
		case err == nil && x.what == citizen.SecretReplaced:
			return d.showSecret(c, wanted.Application, view.App.Name, secret)
		case err == nil:
			return seeOther(c, applicationURL(view.App.ID)+"?"+doneParameter+"="+x.slug)
		case !ok:
			return err
		default:
			view.Fail(changeField(refusal, x), refusal)
		}
	}
	if err := view.fill(x, func(name string) string { return typedText(c, name) }); err != nil {
		return err
	}
	view.choose(wanted)
	return d.show(c, http.StatusUnprocessableEntity, view)
}

// stated is stating, where a form asks for the reason beside the rest.
func (d *DeskDoor) stated(c echo.Context, page *Page) (desk.Asking, error) {
	asking, err := d.stating(c)
	if refusal, ok := asRefusal(err); ok && refusal.Code == policies.ReasonMissing {
		page.Fail(deskFieldReason, refusal)
		return asking, nil
	}
	return asking, err
}

// tellable is the refusal that a form can show, if it is one.
func tellable(err error) (*policies.Refusal, bool) {
	refusal, ok := asRefusal(err)
	return refusal, ok && refusal.Code != policies.SessionExpired && refusal.Code != policies.RoleMissing
}

// remake has a change made. What the office has signed is done though the browser
// leaves.
func (d *DeskDoor) remake(c echo.Context, a desk.Asking, wanted citizen.ApplicationChange, secret bool) (citizen.Secret, error) {
	ctx := context.WithoutCancel(c.Request().Context())
	if secret {
		return d.Counter.GiveSecret(ctx, a, wanted)
	}
	return citizen.Secret{}, d.Counter.ChangeApplication(ctx, a, wanted)
}

// showSecret shows a secret, the only time that it can be.
func (d *DeskDoor) showSecret(c echo.Context, id, name string, secret citizen.Secret) error {
	return d.show(c, http.StatusOK, &DeskSecret{
		Desk: d.head(c, "applications"), Name: name, Client: id, Secret: secret.Reveal(), HomeURL: applicationURL(id),
	})
}

// private is what only a private key has: as PEM (RFC 7468) and as JWK (RFC 7518).
var private = regexp.MustCompile(`PRIVATE KEY|"d"\s*:`)

// pastedPrivate tells whether a private key was pasted into a field.
func pastedPrivate(c echo.Context, name string) bool { return private.MatchString(c.FormValue(name)) }

// typedText is what a field holds, cut where no key or certificate is as long. A
// private key goes neither on nor back to the page.
func typedText(c echo.Context, name string) string {
	if pastedPrivate(c, name) {
		return ""
	}
	text := c.FormValue(name)
	return strings.ToValidUTF8(text[:min(len(text), deskTextLimit)], "�")
}

func readChange(c echo.Context, x remake, view *DeskChange) citizen.ApplicationChange {
	wanted := citizen.ApplicationChange{Application: view.App.ID, What: x.what, Value: view.About}
	if len(x.fields) > 0 && pastedPrivate(c, x.fields[0]) {
		view.Fail(x.fields[0], policies.Refuse(policies.QueryInvalid, "reason", "private_key"))
	}
	switch x.what { //nolint:exhaustive // the others need no more
	case citizen.ApplicationContact, citizen.RedirectAdded, citizen.CertificateAdded, citizen.WebhookAdded:
		wanted.Value = strings.TrimSpace(typedText(c, x.fields[0]))
	case citizen.KeyAdded:
		wanted.Value, wanted.From, wanted.Until = strings.TrimSpace(typedText(c, deskFieldKey)), c.FormValue(deskFieldFrom), c.FormValue(deskFieldUntil)
		if _, _, err := wanted.Span(); err != nil {
			view.Fail(deskFieldUntil, policies.Refuse(policies.QueryInvalid, "reason", "key_span"))
		}
	case citizen.KeyUntil, citizen.CertificateUntil:
		wanted.Until = c.FormValue(deskFieldUntil)
		if _, err := wanted.End(); err != nil {
			view.Fail(deskFieldUntil, policies.Refuse(policies.QueryInvalid, "reason", "key_span"))
		}
	case citizen.SecretReplaced:
		wanted.Until = strings.TrimSpace(typedText(c, deskFieldFormer))
		if _, err := wanted.End(); wanted.Until != "" && err != nil {
			view.Fail(deskFieldFormer, policies.Refuse(policies.QueryInvalid, "reason", "secret_span"))
		}
	case citizen.ApplicationScopes:
		wanted.Scopes = ticked(c)[deskFieldScopes]
	case citizen.ApplicationLimits:
		form := ticked(c)
		wanted.Doors, wanted.Formats, wanted.Levels = form[deskFieldDoors], form[deskFieldFormats], form[deskFieldLevels]
		calls, err := strconv.ParseUint(cmp.Or(strings.TrimSpace(c.FormValue(deskFieldCalls)), "0"), 10, 16)
		if err != nil {
			view.Fail(deskFieldCalls, policies.Refuse(policies.QueryInvalid, "reason", "calls"))
		}
		wanted.Calls = int(calls)
	}
	return wanted
}

// ticked is a form whose fields may have several values; one that cannot be read
// has none.
func ticked(c echo.Context) url.Values {
	form, err := c.FormParams()
	if err != nil {
		return url.Values{}
	}
	return form
}

// changeField is beside which field of a change's form a refusal stands.
func changeField(refusal *policies.Refusal, x remake) string {
	switch {
	case refusal.Code != policies.QueryInvalid:
		return ""
	case x.what == citizen.ApplicationScopes:
		return deskFieldScopes
	case len(x.fields) == 0:
		return ""
	}
	return x.fields[0]
}

// asItIs is what may be ticked of an application, as it is.
func asItIs(r signer.RegisteredClient) citizen.ApplicationChange {
	return citizen.ApplicationChange{Scopes: r.Scopes, Doors: r.Doors, Formats: named(r.Formats), Levels: named(r.Levels)}
}

// named are names as text.
func named[S ~string](list []S) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, string(s))
	}
	return out
}
