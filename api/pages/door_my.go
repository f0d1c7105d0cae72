package pages

import (
	"context"
	"crypto/hmac"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// OwnStore is what citizens read of themselves. Whoever calls it has the
// citizen's id or DNI from the ticket, and from nowhere else.
type OwnStore interface {
	History(ctx context.Context, q citizen.HistoryQuery) ([]citizen.HistoryRow, error)
	Askers(ctx context.Context, identifier string) ([]signer.Application, error)
	// KeptDocuments are the ordinals of a request's documents that are still there.
	KeptDocuments(ctx context.Context, requestID string) ([]int, error)
	// SignatureEntries are what the log says of a request's signatures.
	SignatureEntries(ctx context.Context, operation string) ([]audit.Record, error)
	// AssociatedCertificate is nil if there is none.
	AssociatedCertificate(ctx context.Context, citizenID string) (*citizen.Association, error)
	Registrations(ctx context.Context, citizenID string) ([]signer.Registration, error)
	CertificatesOf(ctx context.Context, citizenID string) ([]signer.Certificate, error)
	Incidents(ctx context.Context, citizenID string) ([]citizen.Incident, error)
	Visits(ctx context.Context, citizenID string) ([]citizen.Visit, error)
	// LiveConsents is what applications may see, one row an application.
	LiveConsents(ctx context.Context, citizenID string, now time.Time) ([]signer.ServiceConsent, error)
	// WaitingChange is what a mailed link stands for (LinkInvalid).
	WaitingChange(ctx context.Context, hash []byte, now time.Time) (citizen.Pending, error)
	// AwaitedLink is how long the link lasts that a citizen was sent last, 0 if
	// none waits to be followed.
	AwaitedLink(ctx context.Context, citizenID string, kind citizen.PendingKind, now time.Time) (time.Duration, error)
}

// OwnProfile is what citizens do on their own pages. rpc.Client fulfils it.
type OwnProfile interface {
	ChangeEmail(ctx context.Context, a signer.Answer, e citizen.Email) error
	Follow(ctx context.Context, l citizen.Link) (citizen.PendingKind, error)
	Deregister(ctx context.Context, a signer.Answer) error
	Associate(ctx context.Context, a signer.Answer, shown signer.Ticket) error
	Dissociate(ctx context.Context, a signer.Answer) error
	SetNotices(ctx context.Context, t signer.Ticket, n signer.Notices) error
	// WithdrawConsent ends what an application may see, at once (NotFound).
	WithdrawConsent(ctx context.Context, t signer.Ticket, applicationID string) error
	OpenIncident(ctx context.Context, i citizen.Complaint) (citizen.Incident, error)
	ReadLog(ctx context.Context, t signer.Ticket, after int64) ([]citizen.LogEntry, error)
	// Leave ends the session, or all of the citizen's.
	Leave(ctx context.Context, t signer.Ticket, everywhere bool) error
	// TakeDocument admits whoever signed a document to it, and writes down that it
	// is taken (SessionExpired: not identified just now).
	TakeDocument(ctx context.Context, t signer.Ticket, requestID string, ordinal int) error
}

// OwnRoom is the citizen's own pages.
type OwnRoom struct {
	*Door

	Own     OwnStore
	Profile OwnProfile
	// What the deployment has: the certificate door, Cl@ve PIN, municipal cards.
	Certificates, PINs, Cards bool
	// Retention is how long documents stay after a request has ended.
	Retention time.Duration
}

// ways are the other ways in.
func (r OwnRoom) ways() (ways []Way) {
	if r.Certificates {
		ways = append(ways, Way{"certificate", r.shownAt(citizen.ProcedureAccess)})
	}
	if r.PINs {
		ways = append(ways, Way{"pin", pinPath})
	}
	if r.Cards {
		ways = append(ways, Way{"card", cardPath})
	}
	return ways
}

// shownAt is where a certificate is shown for a procedure; empty where there is
// no certificate door.
func (r OwnRoom) shownAt(p citizen.Procedure) string {
	if !r.Certificates {
		return ""
	}
	return showPath + "/" + string(p)
}

// explained is the page of a procedure with a certificate; empty like that.
func (r OwnRoom) explained(path string) string {
	if !r.Certificates {
		return ""
	}
	return path
}

const (
	accessCookie   = "rubrica_access"
	emailCookie    = "rubrica_correo"
	shownCookie    = "rubrica_enrolment"
	myEntryPath    = ownPagesPath + "/entrar"
	myLeavePath    = ownPagesPath + "/salir"
	myDonePath     = ownPagesPath + "/hecho"
	signaturesPath = ownPagesPath + "/firmas"
	profilePath    = ownPagesPath + "/perfil"
	emailPath      = ownPagesPath + "/correo"
	associatedPath = ownPagesPath + "/certificado"
	noticesPath    = ownPagesPath + "/avisos"
	registeredPath = ownPagesPath + "/registro"
	dataPath       = ownPagesPath + "/datos"
	departurePath  = ownPagesPath + "/baja"
	incidentPath   = ownPagesPath + "/no-he-sido-yo"
	incidentsPath  = ownPagesPath + "/incidencias"

	// whereParameter is where somebody wanted to go who has to identify first,
	// whyParameter that the password is asked for a change.
	whereParameter = "ir"
	whyParameter   = "cambiar"
	whatParameter  = "que"
)

// Room hangs the routes in the site.
func (r OwnRoom) Room(site *api.Site) {
	g, paced := site.Pages(), site.Attempts()
	g.GET(ownPagesPath, r.seeing(r.front))
	g.GET(myEntryPath, r.entry)
	g.POST(myEntryPath, r.enter, paced)
	g.POST(myLeavePath, r.leave(false))
	g.POST(myLeavePath+"/todas", r.leave(true))
	g.GET(myDonePath, r.seeing(r.done))

	g.GET(signaturesPath, r.seeing(r.signatures))
	g.POST(signaturesPath, r.seeing(r.filter))
	g.GET(signaturesPath+"/:id", r.seeing(r.signature))
	g.GET(signaturesPath+"/:id/documentos/:n", r.seeing(r.ownDocument), paced)
	g.GET(signaturesPath+"/:id/justificante.pdf", r.seeing(r.ownEvidence))
	g.GET(signaturesPath+"/:id/justificante.json", r.seeing(r.ownReceipt))

	g.GET(profilePath, r.seeing(r.profile))
	g.GET(registeredPath, r.seeing(r.registration))
	g.GET(dataPath, r.seeing(r.data))
	g.GET(dataPath+"/mis-datos.json", r.seeing(r.export), paced)
	g.GET(noticesPath, r.changing(r.askNotices))
	g.POST(noticesPath, r.changing(r.setNotices))

	g.GET(myApplicationsPath, r.seeing(r.applications))
	g.GET(myApplicationsPath+"/:id", r.changing(r.askWithdrawal))
	g.POST(myApplicationsPath+"/:id", r.changing(r.withdraw))

	g.GET(incidentPath, r.seeing(r.askIncident))
	g.POST(incidentPath, r.seeing(r.openIncident))
	g.GET(incidentsPath, r.seeing(r.incidents))

	g.GET(emailPath, r.changing(r.askEmail))
	g.POST(emailPath, r.changing(r.takeEmail))
	g.GET(associatedPath, r.changing(r.association))
	g.POST(associatedPath, r.changing(r.sendAct(ActAssociate)))
	g.GET(departurePath, r.changing(r.askDeparture))
	g.POST(departurePath, r.changing(r.sendAct(ActDeparture)))
	g.GET(departurePath+"/hecho", r.departed)
	for _, act := range []MyAct{ActEmail, ActAssociate, ActDeparture} {
		confirm := act.path() + "/codigo"
		g.GET(confirm, r.changing(r.actCode(act)))
		g.POST(confirm, r.changing(r.carryAct(act)))
		g.POST(confirm+"/otro", r.changing(r.sendAct(act)))
	}
	g.GET(emailPath+"/enviado", r.seeing(r.emailMailed))

	g.GET(citizen.LinkPath, r.link, paced)
	g.POST(citizen.LinkPath, r.follow, paced)
	g.GET(citizen.LinkPath+"/hecho", r.followed)
	g.GET(passwordMailedPath, r.passwordMailed)
}

// ownHandler serves somebody who is in.
type ownHandler func(c echo.Context, v visitor) error

// guest is who the browser's access ticket says is there.
func (r OwnRoom) guest(c echo.Context) (visitor, error) {
	cookie, err := c.Cookie(accessCookie)
	if err != nil {
		return visitor{}, policies.Refuse(policies.SessionExpired)
	}
	ticket, err := signer.ParseTicket(cookie.Value)
	if err != nil {
		return visitor{}, err
	}
	v, err := r.holder(c.Request().Context(), ticket)
	if err == nil && v.Purpose != signer.ForAccess {
		err = policies.Refuse(policies.SessionExpired)
	}
	return v, err
}

// seeing is open for whoever is in. A form must carry the session's guard.
func (r OwnRoom) seeing(serve ownHandler) echo.HandlerFunc {
	return func(c echo.Context) error {
		v, err := r.guest(c)
		if err == nil && v.Spent {
			err = policies.Refuse(policies.SessionExpired)
		}
		if err == nil && c.Request().Method == http.MethodPost && !hmac.Equal([]byte(c.FormValue(FieldGuard)), []byte(v.guard())) {
			err = policies.Refuse(policies.SessionExpired)
		}
		if refusal, ok := asRefusal(err); ok && refusal.Code == policies.SessionExpired {
			return seeOther(c, entryFor(c, false))
		}
		if err != nil {
			return err
		}
		return serve(c, v)
	}
}

// changing is open for whoever has come in with the password.
func (r OwnRoom) changing(serve ownHandler) echo.HandlerFunc {
	return r.seeing(func(c echo.Context, v visitor) error {
		if v.Via != signer.ViaPassword {
			return seeOther(c, entryFor(c, true))
		}
		return serve(c, v)
	})
}

// entryFor is where somebody identifies, and goes on from there.
func entryFor(c echo.Context, change bool) string {
	query := url.Values{}
	if where := c.Request().URL.Path; c.Request().Method == http.MethodGet && where != ownPagesPath {
		query.Set(whereParameter, where)
	}
	if change {
		query.Set(whyParameter, "1")
	}
	if len(query) == 0 {
		return myEntryPath
	}
	return myEntryPath + "?" + query.Encode()
}

// destination is where whoever identified wanted to go: one of the own pages.
func destination(c echo.Context) string {
	where := c.QueryParam(whereParameter)
	if path.Clean(where) != where || !strings.HasPrefix(where, ownPagesPath+"/") || strings.ContainsAny(where, "\\?#\r\n") {
		return ownPagesPath
	}
	return where
}

func (r OwnRoom) entryView(c echo.Context) *MyEntry {
	self := myEntryPath
	if query := c.QueryString(); query != "" {
		self += "?" + c.QueryParams().Encode()
	}
	view := &MyEntry{
		Self: self, SubmitURL: self, Password: c.QueryParam(whyParameter) != "",
		ForgottenURL: forgottenPath, ActivateURL: activationPath,
	}
	if !view.Password {
		view.Ways = r.ways()
	}
	return view
}

func (r OwnRoom) entry(c echo.Context) error { return r.show(c, http.StatusOK, r.entryView(c)) }

func (r OwnRoom) enter(c echo.Context) error {
	view := r.entryView(c)
	view.Identifier = c.FormValue(FieldIdentifier)
	id, password, err := passwordForm(c, FieldPassword)
	if err != nil {
		return r.again(c, err, view, FieldIdentifier)
	}
	session, err := r.Module.Identify(c.Request().Context(), signer.Identification{
		Identifier: id.String(), Password: password.Reveal(), RemoteAddr: c.RealIP(), Access: true,
	})
	if err != nil {
		return r.again(c, err, view, FieldIdentifier)
	}
	r.welcome(c, session)
	return seeOther(c, destination(c))
}

// welcome gives the browser its access ticket.
func (d *Door) welcome(c echo.Context, s signer.Session) {
	c.SetCookie(&http.Cookie{ //nolint:gosec // without Secure in development only, which has no TLS
		Name: accessCookie, Value: s.Ticket.Encode(), Path: ownPagesPath, Expires: s.ExpiresAt,
		HttpOnly: true, Secure: !d.Development, SameSite: http.SameSiteLaxMode,
	})
}

// leave ends the session where it is kept: a copy of the cookie is worth nothing
// either. One that is over is left already.
func (r OwnRoom) leave(everywhere bool) echo.HandlerFunc {
	return func(c echo.Context) error {
		v, err := r.guest(c)
		if err == nil {
			if !hmac.Equal([]byte(c.FormValue(FieldGuard)), []byte(v.guard())) {
				return seeOther(c, ownPagesPath)
			}
			err = r.Profile.Leave(c.Request().Context(), v.ticket, everywhere)
		}
		r.drop(c, accessCookie, ownPagesPath)
		if refusal, ok := asRefusal(err); err != nil && (!ok || refusal.Code != policies.SessionExpired) {
			return err
		}
		return seeOther(c, "/")
	}
}

// page is what the own pages have in common.
func (r OwnRoom) page(v visitor, self, here string) Page {
	head := &OwnHead{Signer: v.signer(), Via: v.Via, LeaveURL: myLeavePath}
	for _, link := range []OwnLink{
		{Name: "home", URL: ownPagesPath},
		{Name: "signatures", URL: signaturesPath},
		{Name: "profile", URL: profilePath},
		{Name: "registration", URL: registeredPath},
		{Name: "data", URL: dataPath},
	} {
		link.Current = link.Name == here
		head.Links = append(head.Links, link)
	}
	return Page{Self: self, Own: head, Guard: v.guard()}
}

// latest is how many signatures the front page shows.
const latest = 3

func (r OwnRoom) front(c echo.Context, v visitor) error {
	ctx := c.Request().Context()
	rows, err := r.Own.History(ctx, citizen.HistoryQuery{Identifier: v.Citizen.Identifier, Limit: latest})
	if err != nil {
		return err
	}
	incidents, err := r.Own.Incidents(ctx, v.Citizen.ID)
	if err != nil {
		return err
	}
	view := &MyHome{
		Page: r.page(v, ownPagesPath, "home"), State: v.certificateState(r.Now()),
		SignaturesURL: signaturesPath, CertificateURL: certificatePath, RegistrationURL: registeredPath,
		IncidentURL: incidentPath, IncidentsURL: incidentsPath, ProfileURL: profilePath, DataURL: dataPath, ApplicationsURL: myApplicationsPath,
	}
	if v.Credential != nil && v.Credential.Certificate != nil {
		view.Until = v.Credential.Certificate.NotAfter
	}
	for _, row := range rows {
		view.Latest = append(view.Latest, mySignature(row))
	}
	for _, i := range incidents {
		if i.ClosedAt.IsZero() {
			view.Open++
		}
	}
	return r.show(c, http.StatusOK, view)
}

// done tells of an act that leaves the session as it is.
func (r OwnRoom) done(c echo.Context, v visitor) error {
	act := MyAct(c.QueryParam(whatParameter))
	switch act {
	case ActAssociate, ActDissociate, ActNotices:
		return r.show(c, http.StatusOK, &MyDone{Page: r.page(v, doneURL(act), "profile"), Act: act, HomeURL: profilePath})
	default:
		return seeOther(c, ownPagesPath)
	}
}

func doneURL(act MyAct) string { return myDonePath + "?" + whatParameter + "=" + string(act) }
