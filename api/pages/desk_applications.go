package pages

import (
	"cmp"
	"context"
	"encoding/hex"
	"net/http"
	"net/url"
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
	// ChangeApplication refuses what it cannot read (policies.QueryInvalid).
	ChangeApplication(ctx context.Context, a desk.Asking, c citizen.ApplicationChange) error
}

const (
	deskApplicationsPath = deskPath + "/aplicaciones"
	// aboutParameter is what of the application a change is about.
	aboutParameter = "de"
)

func (d *DeskDoor) applicationRoutes(g *echo.Group) {
	supervises := d.Officers.Require(desk.RoleSupervisor)
	g.GET(deskApplicationsPath, d.applications, supervises, d.reasoned)
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
		{slug: "limites", what: citizen.ApplicationLimits, fields: []string{deskFieldCalls}},
		{slug: "direccion", what: citizen.RedirectAdded, fields: []string{deskFieldAddress}},
		{slug: "quitar-direccion", what: citizen.RedirectRemoved, danger: true, about: true},
		{slug: "clave", what: citizen.KeyAdded, fields: []string{deskFieldKey, deskFieldFrom, deskFieldUntil}},
		{slug: "quitar-clave", what: citizen.KeyRemoved, danger: true, about: true},
		{slug: "certificado", what: citizen.CertificateAdded, fields: []string{deskFieldCertificate}},
		{slug: "quitar-certificado", what: citizen.CertificateRemoved, danger: true, about: true},
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
	view := &DeskApplications{Self: deskApplicationsPath, Desk: d.head(c, "applications")}
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
	if done, ok := remakeAt(c.QueryParam(doneParameter)); ok {
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
	view := newDeskChange(r, x)
	view.Self, view.Desk, view.SubmitURL = c.Request().URL.RequestURI(), d.head(c, "applications"), c.Request().URL.RequestURI()
	if x.about {
		view.About = c.QueryParam(aboutParameter)
		if !hasOne(r, x.what, view.About) {
			return nil, x, asking, policies.Refuse(policies.NotFound)
		}
	}
	return view, x, asking, nil
}

// hasOne is whether there is what the change is about.
func hasOne(r signer.RegisteredClient, what citizen.ApplicationAspect, about string) bool {
	switch what { //nolint:exhaustive // the others are about the application
	case citizen.RedirectRemoved:
		return slices.Contains(r.ReturnAddresses, about)
	case citizen.KeyRemoved:
		return slices.ContainsFunc(r.Keys, func(k signer.ClientKey) bool { return k.ID == about })
	case citizen.CertificateRemoved:
		return slices.ContainsFunc(r.Certificates, func(k signer.ClientCertificate) bool { return hex.EncodeToString(k.SHA256) == about })
	case citizen.ApplicationSwitchedOn:
		return slices.Contains(signer.Switches(), about) && !r.Has(about)
	case citizen.ApplicationSwitchedOff:
		return r.Has(about)
	}
	return true
}

// keyLife is for how long a key is good unless somebody says otherwise.
const keyLife = 2 // years

func (d *DeskDoor) askChange(c echo.Context) error {
	view, x, asking, err := d.changeView(c)
	if err != nil {
		return err
	}
	now := d.Now().UTC()
	given := map[string]string{
		deskFieldReason: asking.Reason, deskFieldContact: view.App.Contact, deskFieldFrom: now.Format(time.DateOnly), deskFieldUntil: now.AddDate(keyLife, 0, 0).Format(time.DateOnly),
	}
	if view.App.Calls > 0 {
		given[deskFieldCalls] = strconv.Itoa(view.App.Calls)
	}
	if err := view.fill(x, func(name string) string { return given[name] }); err != nil {
		return err
	}
	view.choose(x, named(view.App.Doors), named(view.App.Formats), named(view.App.Levels))
	return d.show(c, http.StatusOK, view)
}

// change makes a change and leads back to the application.
func (d *DeskDoor) change(c echo.Context) error {
	view, x, _, err := d.changeView(c)
	if err != nil {
		return err
	}
	wanted := readChange(c, x, view)
	asking, err := d.stating(c)
	if refusal, ok := asRefusal(err); ok && refusal.Code == policies.ReasonMissing {
		view.Fail(deskFieldReason, refusal)
	} else if err != nil {
		return err
	}
	if len(view.Problems) == 0 {
		// What the office has signed is done though the browser leaves.
		err := d.Counter.ChangeApplication(context.WithoutCancel(c.Request().Context()), asking, wanted)
		refusal, ok := asRefusal(err)
		switch {
		case err == nil:
			return seeOther(c, applicationURL(view.App.ID)+"?"+doneParameter+"="+x.slug)
		case !ok || refusal.Code == policies.SessionExpired || refusal.Code == policies.RoleMissing:
			return err
		}
		view.Fail(changeField(refusal, x), refusal)
	}
	if err := view.fill(x, func(name string) string { return typedText(c, name) }); err != nil {
		return err
	}
	view.choose(x, wanted.Doors, wanted.Formats, wanted.Levels)
	return d.show(c, http.StatusUnprocessableEntity, view)
}

// typedText is what a field holds, cut where no key or certificate is as long.
func typedText(c echo.Context, name string) string {
	text := strings.ToValidUTF8(c.FormValue(name), "�")
	return text[:min(len(text), deskTextLimit)]
}

func readChange(c echo.Context, x remake, view *DeskChange) citizen.ApplicationChange {
	wanted := citizen.ApplicationChange{Application: view.App.ID, What: x.what, Value: view.About}
	switch x.what { //nolint:exhaustive // the others need no more
	case citizen.ApplicationContact, citizen.RedirectAdded, citizen.CertificateAdded:
		wanted.Value = strings.TrimSpace(typedText(c, x.fields[0]))
	case citizen.KeyAdded:
		wanted.Value, wanted.From, wanted.Until = strings.TrimSpace(typedText(c, deskFieldKey)), c.FormValue(deskFieldFrom), c.FormValue(deskFieldUntil)
		if _, _, err := wanted.Span(); err != nil {
			view.Fail(deskFieldUntil, policies.Refuse(policies.QueryInvalid, "reason", "key_span"))
		}
	case citizen.ApplicationLimits:
		form, err := c.FormParams()
		if err != nil {
			form = url.Values{}
		}
		wanted.Doors, wanted.Formats, wanted.Levels = form[deskFieldDoors], form[deskFieldFormats], form[deskFieldLevels]
		calls, err := strconv.ParseUint(cmp.Or(strings.TrimSpace(c.FormValue(deskFieldCalls)), "0"), 10, 16)
		if err != nil {
			view.Fail(deskFieldCalls, policies.Refuse(policies.QueryInvalid, "reason", "calls"))
		}
		wanted.Calls = int(calls)
	}
	return wanted
}

// changeField is beside which field of a change's form a refusal stands.
func changeField(refusal *policies.Refusal, x remake) string {
	if refusal.Code != policies.QueryInvalid || len(x.fields) == 0 {
		return ""
	}
	return x.fields[0]
}

// named are names as text.
func named[S ~string](list []S) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, string(s))
	}
	return out
}
