package pages

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/api/staff"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
)

// Auditing answers what is asked of the log, and records that it was asked.
// *auditing.Service fulfils it.
type Auditing interface {
	Search(ctx context.Context, a auditing.Asking, q auditing.Query) (auditing.Found, error)
	Entry(ctx context.Context, a auditing.Asking, seq int64) (auditing.Single, error)
	Operation(ctx context.Context, a auditing.Asking, id string) (auditing.Found, error)
	Totals(ctx context.Context, a auditing.Asking, from, to time.Time) (auditing.Totals, error)
	Health(ctx context.Context) (auditing.Health, error)
	Export(ctx context.Context, a auditing.Asking, q auditing.Query, o auditing.ExportOptions, w io.Writer) error
}

// Auditors knows who asks. *staff.Door fulfils it.
type Auditors interface {
	// Require keeps out who has another role (policies.RoleMissing), or has not
	// said why they ask (policies.PurposeMissing).
	Require(roles ...string) echo.MiddlewareFunc
	// Identify is who asks and why (policies.SessionExpired).
	Identify(c echo.Context) (auditing.Asking, error)
	Visit(c echo.Context) (personnel.Visit, error)
	CertificateOffered(c echo.Context) bool
	EnterByCertificate(c echo.Context) error
	State(c echo.Context, purpose string) error
	Leave(c echo.Context) error
	Accounts(c echo.Context) ([]personnel.State, error)
	Invite(c echo.Context, id string) (staff.Invitation, error)
	Disable(c echo.Context, id string) error
}

// AuditDoorConfig names the parts of an AuditDoor.
type AuditDoorConfig struct {
	Pages    *Pages
	Auditing Auditing
	Auditors Auditors
	// Applications names those that ask for signatures, by client id; nil shows
	// the ids.
	Applications func(ctx context.Context) (map[string]string, error)
	// Origin is the name of the tree, and PublicURL the address of the service that
	// publishes it under /log: for the instruction to verify.
	Origin    string
	PublicURL string
	// Development shows the component page.
	Development bool
	Now         func() time.Time
}

// AuditDoor serves the auditor's pages. It draws and decides nothing: who may
// ask is known by Auditors, and Auditing records every question first.
type AuditDoor struct {
	AuditDoorConfig
	site *api.Site
}

// NewAuditDoor makes an AuditDoor.
func NewAuditDoor(c AuditDoorConfig) *AuditDoor { return &AuditDoor{AuditDoorConfig: c} }

const (
	auditPath        = "/auditoria"
	auditLoginPath   = auditPath + "/entrar"
	auditPurposePath = auditPath + "/proposito"
	auditLeavePath   = auditPath + "/salir"
	auditInvitedPath = auditPath + "/invitacion"
	auditUploadPath  = auditPath + "/huella"
	auditEntryPath   = auditPath + "/anotacion"
	auditStepsPath   = auditPath + "/operacion"
	auditTotalsPath  = auditPath + "/totales"
	auditHealthPath  = auditPath + "/estado"
	auditExportPath  = auditPath + "/exportar"
	auditVerifyPath  = auditPath + "/verificar"
	auditPeoplePath  = auditPath + "/personas"
)

// Room hangs the pages' routes in the site.
func (d *AuditDoor) Room(site *api.Site) {
	d.site = site
	g, paced := site.Pages(), site.Attempts()
	asks := d.Auditors.Require(auditing.RoleAuditor)
	either := d.Auditors.Require(auditing.RoleAuditor, auditing.RoleAdministrator)
	manages := d.Auditors.Require(auditing.RoleAdministrator)
	g.GET(AssetsPrefix+"*", echo.WrapHandler(d.Pages.Assets()))
	if d.Development {
		g.GET(ComponentsPath+"*", echo.WrapHandler(d.Pages.Gallery(d.Now)))
	}
	g.GET("/", func(c echo.Context) error { return seeOther(c, auditPath) })

	g.GET(auditLoginPath, d.login)
	g.POST(auditLoginPath+"/certificado", d.enterByCertificate, paced)
	g.GET(auditInvitedPath, d.invited)
	g.GET(auditVerifyPath, d.verify)
	g.GET(auditPurposePath, d.askPurpose, either)
	g.POST(auditPurposePath, d.statePurpose, either)
	g.POST(auditLeavePath, d.leave)

	g.GET(auditPath, d.search, asks)
	g.POST(auditPath, d.startSearch, asks)
	g.GET(auditEntryPath+"/:seq", d.entry, asks)
	g.GET(auditEntryPath+"/:seq/prueba", d.proof, asks)
	g.GET(auditStepsPath+"/:id", d.operation, asks)
	g.GET(auditTotalsPath, d.totals, asks)
	g.POST(auditTotalsPath, d.startTotals, asks)
	g.GET(auditExportPath, d.askExport, asks)
	g.POST(auditExportPath, d.export, asks)
	g.GET(auditHealthPath, d.health, either)

	g.GET(auditPeoplePath, d.people, manages)
	g.POST(auditPeoplePath+"/:id/invitar", d.invite, manages)
	g.GET(auditPeoplePath+"/:id/desactivar", d.askDisable, manages)
	g.POST(auditPeoplePath+"/:id/desactivar", d.disable, manages)

	// A file to be hashed is no small form. What refuses it is a page all the same.
	site.Door(auditUploadPath).POST(auditUploadPath, d.hashUpload, d.drawn, asks, site.Stream(uploadLimit))
}

// drawn answers refusals with pages where the site would with problem documents.
func (d *AuditDoor) drawn(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		refusal, ok := asRefusal(err)
		if !ok || c.Response().Committed || api.Status(refusal.Code) >= http.StatusInternalServerError {
			return err
		}
		if refusal.Code == policies.DocumentTooLarge {
			return d.show(c, http.StatusRequestEntityTooLarge, d.tooLarge(c))
		}
		return d.Trouble(c, api.Status(refusal.Code), refusal)
	}
}

// Trouble draws the page of a refusal that no form can show. It is the site's
// api.ErrorPage. Who has no session or no purpose is led to where one is had.
func (d *AuditDoor) Trouble(c echo.Context, status int, refusal *policies.Refusal) error {
	r := c.Request()
	switch {
	case refusal.Code == policies.SessionExpired && r.Method == http.MethodGet:
		return seeOther(c, onward(auditLoginPath, r.URL.RequestURI()))
	case refusal.Code == policies.SessionExpired:
		view := d.loginView(c)
		view.Ended = true
		return d.show(c, http.StatusForbidden, view)
	case refusal.Code == policies.PurposeMissing && r.Method == http.MethodGet:
		return seeOther(c, onward(auditPurposePath, r.URL.RequestURI()))
	}
	view := &Trouble{Desk: d.desk(c, ""), Refusal: refusal, Reference: refusal.Params["reference"], HomeURL: auditPath}
	if view.Desk.Role == auditing.RoleAdministrator {
		view.HomeURL = auditHealthPath
	}
	return d.show(c, status, view)
}

func (d *AuditDoor) show(c echo.Context, status int, view View) error {
	locale := d.Pages.Locale(c.Response(), c.Request())
	return d.Pages.Render(c.Response(), status, locale, view)
}

// returnParameter is where to go on after an identification or a purpose.
const returnParameter = "volver"

func onward(path, back string) string {
	if back == auditPath || back == "/" {
		return path
	}
	return path + "?" + url.Values{returnParameter: {back}}.Encode()
}

// wanted is where the reader was going: a page of this door, or its first. An
// address of another place would make the login a stepping stone to it.
func wanted(c echo.Context, otherwise string) string {
	address, err := url.Parse(c.QueryParam(returnParameter))
	if err != nil || address.Host != "" || address.Scheme != "" || address.User != nil || strings.Contains(address.Path, "//") ||
		(address.Path != auditPath && !strings.HasPrefix(address.Path, auditPath+"/")) {
		return otherwise
	}
	return (&url.URL{Path: address.Path, RawQuery: address.RawQuery}).String()
}

// Desk is the head of the pages of the personnel: who asks, and why.
type Desk struct {
	Words   string // under what its words stand in the catalogue; empty for the auditors'
	Name    string // empty before the login
	Role    string
	By      string
	Purpose string
	Links   []DeskLink
	// PurposeURL changes the purpose, LeaveURL ends the session (by POST).
	PurposeURL, LeaveURL string
}

// Say is the identifier of one of the head's sentences.
func (d *Desk) Say(id string) string { return cmp.Or(d.Words, "audit") + "." + id }

// DeskLink is a way to another page; its words are nav.<Name>.
type DeskLink struct {
	Name, URL string
	Current   bool
	Key       string // its access key, empty if it has none
	Count     int    // how many wait there
}

// desk tells who is there, as far as anybody is.
func (d *AuditDoor) desk(c echo.Context, here string) *Desk {
	visit, err := d.Auditors.Visit(c)
	if err != nil {
		return &Desk{}
	}
	return newDesk(Desk{Name: visit.Account.Name, Role: visit.Account.Role, By: visit.By, Purpose: visit.Purpose}, here)
}

func newDesk(desk Desk, here string) *Desk {
	desk.LeaveURL = auditLeavePath
	pages := []DeskLink{
		{Name: "search", URL: auditPath},
		{Name: "totals", URL: auditTotalsPath},
		{Name: "health", URL: auditHealthPath},
		{Name: "export", URL: auditExportPath},
		{Name: "verify", URL: auditVerifyPath},
	}
	if desk.Role == auditing.RoleAdministrator {
		pages = []DeskLink{{Name: "health", URL: auditHealthPath}, {Name: "people", URL: auditPeoplePath}, {Name: "verify", URL: auditVerifyPath}}
	} else {
		desk.PurposeURL = auditPurposePath
	}
	for _, link := range pages {
		link.Current = link.Name == here
		desk.Links = append(desk.Links, link)
	}
	return &desk
}

// names of applications, by client id. Without them pages show the ids.
func (d *AuditDoor) names(ctx context.Context) (map[string]string, error) {
	if d.Applications == nil {
		return map[string]string{}, nil
	}
	return d.Applications(ctx)
}

// choices are the applications in the order of their names.
func choices(names map[string]string) []Choice {
	var all []Choice
	for id, name := range names {
		all = append(all, Choice{Value: id, Text: name})
	}
	slices.SortFunc(all, func(a, b Choice) int { return strings.Compare(strings.ToLower(a.Text), strings.ToLower(b.Text)) })
	return all
}
