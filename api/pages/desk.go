package pages

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/api/desk"
	"github.com/rubrica-firma/rubrica/api/staff"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
)

// Counter is what officers do. *desk.Service fulfils it: it writes every look
// and every act into the log, with its reason, before it answers.
type Counter interface {
	Search(ctx context.Context, a desk.Asking, text string) (desk.Found, error)
	File(ctx context.Context, a desk.Asking, citizenID string) (desk.File, error)
	Do(ctx context.Context, a desk.Asking, act desk.Act) (citizen.Receipt, error)
	Queues(ctx context.Context, o desk.Officer) (citizen.Queues, error)

	Ask(ctx context.Context, a desk.Asking, act desk.Act, identifiers ...string) (citizen.DeskOrder, error)
	Orders(ctx context.Context, a desk.Asking) ([]citizen.DeskOrder, error)
	Order(ctx context.Context, a desk.Asking, id string) (citizen.DeskOrder, error)
	Confirm(ctx context.Context, a desk.Asking, id string) (citizen.DeskOrder, error)
	Reject(ctx context.Context, a desk.Asking, id string) error

	Videos(ctx context.Context, a desk.Asking) ([]citizen.Video, error)
	Video(ctx context.Context, a desk.Asking, id string) (citizen.Video, error)
	Approve(ctx context.Context, a desk.Asking, id string) (citizen.Video, citizen.Receipt, error)
	RejectVideo(ctx context.Context, a desk.Asking, id string) error

	Incidents(ctx context.Context, a desk.Asking) ([]citizen.Case, error)
	Letters(ctx context.Context, a desk.Asking) ([]citizen.Waiting, error)
	Print(ctx context.Context, a desk.Asking, ids []string) (pdf []byte, printed int, err error)

	Administrator
}

// Officers knows who is at the desk. *staff.Door fulfils it.
type Officers interface {
	// Require keeps out who has another role (policies.RoleMissing).
	Require(roles ...string) echo.MiddlewareFunc
	// Visit is the session of the request (policies.SessionExpired); its purpose
	// is why the officer is looking somebody up.
	Visit(c echo.Context) (personnel.Visit, error)
	State(c echo.Context, purpose string) error
	Leave(c echo.Context) error
	CertificateOffered(c echo.Context) bool
	EnterByCertificate(c echo.Context) error
	Accounts(c echo.Context) ([]personnel.State, error)
	Invite(c echo.Context, id string) (staff.Invitation, error)
	Disable(c echo.Context, id string) error
}

// DeskConfig names the parts of a DeskDoor.
type DeskConfig struct {
	Pages    *Pages
	Counter  Counter
	Officers Officers
	// Offices are the names of the offices, by client id.
	Offices map[string]string
	// ServiceURL is the public address of the service, where citizens activate.
	ServiceURL string
	// Letters is whether letters are printed here, and MassLimit how many people
	// an order may be about.
	Letters   bool
	MassLimit int
	// CoolOff is for how long a change of mobile keeps certificates and passwords
	// back.
	CoolOff time.Duration
	// Development shows the component page.
	Development bool
	Now         func() time.Time
}

// DeskDoor serves the officers' pages. It draws, and decides nothing.
type DeskDoor struct {
	DeskConfig
	site *api.Site
}

// NewDeskDoor makes a DeskDoor.
func NewDeskDoor(c DeskConfig) *DeskDoor { return &DeskDoor{DeskConfig: c} }

const (
	deskPath         = "/mesa"
	deskLoginPath    = deskPath + "/entrar"
	deskInvitedPath  = deskPath + "/invitacion"
	deskLeavePath    = deskPath + "/salir"
	deskReasonPath   = deskPath + "/motivo"
	deskFilePath     = deskPath + "/ficha"
	deskRegisterPath = deskPath + "/alta"
	deskDeathPath    = deskPath + "/fallecimiento"
	deskReceiptPath  = deskPath + "/resguardo"
	deskMassPath     = deskPath + "/revocacion"
	deskOrdersPath   = deskPath + "/ordenes"
	deskVideosPath   = deskPath + "/videos"
	deskCasesPath    = deskPath + "/incidencias"
	deskLettersPath  = deskPath + "/cartas"
	deskPeoplePath   = deskPath + "/personas"
)

// Room hangs the pages' routes in the site.
func (d *DeskDoor) Room(site *api.Site) {
	d.site = site
	g, paced := site.Pages(), site.Attempts()
	serves := d.Officers.Require(desk.RoleOfficer, desk.RoleSupervisor)
	manages := d.Officers.Require(desk.RoleAdministrator)
	g.GET(AssetsPrefix+"*", echo.WrapHandler(d.Pages.Assets()))
	if d.Development {
		g.GET(ComponentsPath+"*", echo.WrapHandler(d.Pages.Gallery(d.Now)))
	}
	g.GET("/", func(c echo.Context) error { return seeOther(c, deskPath) })
	g.GET(deskLoginPath, d.login)
	g.POST(deskLoginPath+"/certificado", d.enterByCertificate, paced)
	g.GET(deskInvitedPath, d.invited)
	g.POST(deskLeavePath, d.leave)
	g.GET(deskPath, d.home)

	g.POST(deskPath, d.search, serves)
	g.GET(deskReasonPath, d.askReason, serves)
	g.POST(deskReasonPath, d.stateReason, serves)

	at := func(method, path string, handler echo.HandlerFunc) { g.Add(method, path, handler, serves, d.reasoned) }
	at(http.MethodGet, deskFilePath+"/:id", d.file)
	at(http.MethodGet, deskFilePath+"/:id/:act", d.askAct)
	at(http.MethodPost, deskFilePath+"/:id/:act", d.act)
	g.GET(deskRegisterPath, d.askRegister, serves)
	g.POST(deskRegisterPath, d.register, serves)
	g.POST(deskDeathPath, d.death, serves)
	g.POST(deskReceiptPath, d.receipt, serves)
	g.GET(deskMassPath, d.askMass, serves)
	g.POST(deskMassPath, d.mass, serves)
	at(http.MethodGet, deskOrdersPath, d.orders)
	at(http.MethodGet, deskOrdersPath+"/:id", d.order)
	at(http.MethodPost, deskOrdersPath+"/:id/confirmar", d.confirmOrder)
	at(http.MethodPost, deskOrdersPath+"/:id/rechazar", d.rejectOrder)
	at(http.MethodGet, deskVideosPath, d.videos)
	at(http.MethodGet, deskVideosPath+"/:id", d.video)
	at(http.MethodPost, deskVideosPath+"/:id/aprobar", d.approveVideo)
	at(http.MethodPost, deskVideosPath+"/:id/rechazar", d.rejectVideo)
	at(http.MethodGet, deskCasesPath, d.incidents)
	if d.Letters {
		at(http.MethodGet, deskLettersPath, d.letters)
		at(http.MethodPost, deskLettersPath, d.printLetters)
	}

	d.applicationRoutes(g)
	g.GET(deskPeoplePath, d.people, manages)
	g.POST(deskPeoplePath+"/:id/invitar", d.invite, manages)
	g.GET(deskPeoplePath+"/:id/desactivar", d.askDisable, manages)
	g.POST(deskPeoplePath+"/:id/desactivar", d.disable, manages)
}

// reasoned leads who has not said why to where it is said.
func (d *DeskDoor) reasoned(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		visit, err := d.Officers.Visit(c)
		if err != nil {
			return err
		}
		if visit.Purpose == "" {
			return policies.Refuse(policies.ReasonMissing)
		}
		return next(c)
	}
}

// Trouble draws the page of a refusal that no form can show. It is the site's
// api.ErrorPage.
func (d *DeskDoor) Trouble(c echo.Context, status int, refusal *policies.Refusal) error {
	r := c.Request()
	get := r.Method == http.MethodGet
	switch {
	case refusal.Code == policies.SessionExpired && get:
		return seeOther(c, deskOnward(deskLoginPath, r.URL.RequestURI()))
	case refusal.Code == policies.SessionExpired:
		return d.show(c, http.StatusForbidden, &DeskLogin{Desk: d.head(c, ""), Certificate: d.Officers.CertificateOffered(c), CertificateURL: deskLoginPath + "/certificado", Ended: true})
	case refusal.Code == policies.ReasonMissing && get:
		return seeOther(c, deskOnward(deskReasonPath, r.URL.RequestURI()))
	}
	return d.show(c, status, &Trouble{Desk: d.head(c, ""), Refusal: refusal, Reference: refusal.Params["reference"], HomeURL: deskPath})
}

func (d *DeskDoor) show(c echo.Context, status int, view View) error {
	locale := d.Pages.Locale(c.Response(), c.Request())
	return d.Pages.Render(c.Response(), status, locale, view)
}

func deskOnward(path, back string) string {
	if back == deskPath || back == "/" {
		return path
	}
	return path + "?" + url.Values{returnParameter: {back}}.Encode()
}

// deskWanted is where the officer was going: a page of this desk, or its first.
func deskWanted(c echo.Context) string {
	address, err := url.Parse(c.QueryParam(returnParameter))
	if err != nil || address.Host != "" || address.Scheme != "" || address.User != nil || strings.Contains(address.Path, "//") ||
		!strings.HasPrefix(address.Path, deskPath+"/") {
		return deskPath
	}
	return (&url.URL{Path: address.Path, RawQuery: address.RawQuery}).String()
}

// officer is who is at the desk.
func officer(v personnel.Visit) desk.Officer {
	a := v.Account
	return desk.Officer{ID: a.ID, Name: a.Name, Role: a.Role, Office: a.Office, By: v.By}
}

// asking is who asks, for the reason that the session has.
func (d *DeskDoor) asking(c echo.Context) (desk.Asking, error) {
	visit, err := d.Officers.Visit(c)
	return desk.Asking{Officer: officer(visit), Reason: visit.Purpose}, err
}

// stating is who asks, for the reason that the form gives. The session keeps it
// for what is looked at next.
func (d *DeskDoor) stating(c echo.Context) (desk.Asking, error) {
	asking, err := d.asking(c)
	if err != nil {
		return asking, err
	}
	reason, err := desk.Reason(c.FormValue(deskFieldReason))
	if err != nil {
		return asking, err
	}
	if reason != asking.Reason {
		err = d.Officers.State(c, reason)
	}
	asking.Reason = reason
	return asking, err
}

// head tells who is there and what waits, as far as anybody is.
func (d *DeskDoor) head(c echo.Context, here string) *Desk {
	visit, err := d.Officers.Visit(c)
	if err != nil {
		return &Desk{Words: deskWords}
	}
	head := &Desk{Words: deskWords, Name: visit.Account.Name, Role: visit.Account.Role, By: visit.By, Purpose: visit.Purpose}
	queues := citizen.Queues{}
	if head.Role != desk.RoleAdministrator {
		// Without its numbers the head is a head all the same.
		queues, _ = d.Counter.Queues(c.Request().Context(), officer(visit))
	}
	return newDeskHead(head, here, queues, d.Letters)
}

// deskWords is under what the head's words stand in the catalogue.
const deskWords = "desk"

func newDeskHead(head *Desk, here string, q citizen.Queues, letters bool) *Desk {
	head.LeaveURL = deskLeavePath
	if head.Role == desk.RoleAdministrator {
		head.Links = []DeskLink{{Name: "people", URL: deskPeoplePath, Key: "1", Current: here == "people"}}
		return head
	}
	head.PurposeURL = deskReasonPath
	links := []DeskLink{
		{Name: "search", URL: deskPath, Key: "1"},
		{Name: "register", URL: deskRegisterPath, Key: "2"},
		{Name: "orders", URL: deskOrdersPath, Key: "3", Count: q.Orders},
		{Name: "videos", URL: deskVideosPath, Key: "4", Count: q.Videos},
		{Name: "incidents", URL: deskCasesPath, Key: "5", Count: q.Incidents},
		{Name: "letters", URL: deskLettersPath, Key: "6", Count: q.Letters},
		{Name: "mass", URL: deskMassPath, Key: "7"},
	}
	if head.Role == desk.RoleSupervisor {
		links = append(links, DeskLink{Name: "applications", URL: deskApplicationsPath, Key: "8"})
	}
	for _, link := range links {
		link.Current = link.Name == here
		head.Links = append(head.Links, link)
	}
	if !letters {
		head.Links = slices.DeleteFunc(head.Links, func(l DeskLink) bool { return l.Name == "letters" })
	}
	return head
}
