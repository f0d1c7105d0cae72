package pages

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// The handlers of the citizen's own certificate. What was confirmed ends the
// session: every address then leads to the page that says what was done.

const (
	certificatePath = "/certificado"
	ownPath         = certificatePath + "/estado"
	affairDonePath  = certificatePath + "/hecho"

	// reasonField is why somebody revokes; keyReason that the key may have been
	// used by somebody else.
	reasonField = "motivo"
	keyReason   = "clave"
)

// affair is something to be done with the own certificate, at an address of its
// own and with a code of its own.
type affair struct {
	path    string
	purpose signer.Purpose
	name    Affair
	asked   *errand // by whom; nil: it is the citizen's own wish
}

func affairs() []affair {
	return []affair{
		{path: certificatePath + "/nuevo", purpose: signer.ForCertificate, name: Renew},
		{path: certificatePath + "/suspender", purpose: signer.ForSuspension, name: Suspend},
		{path: certificatePath + "/levantar", purpose: signer.ForRelease, name: Release},
		{path: certificatePath + "/revocar", purpose: signer.ForRevocation, name: Revoke},
	}
}

// affairRoom hangs the routes of the own certificate.
func (d *Door) affairRoom(site *api.Site) {
	g := site.Pages()
	g.GET(certificatePath, d.askOwn)
	g.POST(certificatePath, d.identifyOwn, site.Attempts())
	g.GET(ownPath, d.own)
	g.GET(affairDonePath, d.affairDone)
	for _, a := range affairs() {
		g.GET(a.path, func(c echo.Context) error { return d.askAffair(c, a) })
		g.POST(a.path, func(c echo.Context) error { return d.sendAffairCode(c, a) })
		g.GET(a.path+"/codigo", func(c echo.Context) error { return d.affairCode(c, a) })
		g.POST(a.path+"/codigo", func(c echo.Context) error { return d.carryAffair(c, a) })
	}
}

func (d *Door) ownIdentifyView(c echo.Context) *OwnIdentify {
	self := step(c, certificatePath)
	return &OwnIdentify{
		Self: self, SubmitURL: self, ForgottenURL: step(c, forgottenPath), ActivateURL: step(c, activationPath), BackURL: back(c),
	}
}

func (d *Door) askOwn(c echo.Context) error {
	if v, err := d.visitor(c, signer.ForAffairs); err == nil && !v.Spent {
		return seeOther(c, step(c, ownPath))
	}
	return d.show(c, http.StatusOK, d.ownIdentifyView(c))
}

func (d *Door) identifyOwn(c echo.Context) error {
	view := d.ownIdentifyView(c)
	view.Identifier = c.FormValue(FieldIdentifier)
	session, err := d.firstFactor(c, "", FieldPassword)
	if err != nil {
		return d.again(c, err, view, FieldIdentifier)
	}
	d.setTicket(c, certificatePath, session)
	return seeOther(c, step(c, ownPath))
}

// attending is open for pages behind the password.
func (d *Door) attending(c echo.Context, a affair, who func(echo.Context, signer.Purpose) (visitor, error)) (visitor, bool, error) {
	v, err := who(c, signer.ForAffairs)
	if err == nil && v.Spent {
		return v, true, d.over(c, v, a)
	}
	if refusal, ok := asRefusal(err); ok && refusal.Code == policies.SessionExpired {
		return v, true, d.sessionEnded(c)
	}
	return v, err != nil, err
}

func (d *Door) own(c echo.Context) error {
	v, done, err := d.attending(c, affair{}, d.visitor)
	if done || err != nil {
		return err
	}
	return d.show(c, http.StatusOK, d.ownView(c, v))
}

// ownView puts the certificate into words, and the addresses of what can be
// done with it.
func (d *Door) ownView(c echo.Context, v visitor) *OwnCertificate {
	now := d.Now()
	report := policies.Preflight(signer.Facts(v.Citizen, v.Credential, now), d.Rules)
	g := v.Citizen.Registration
	view := &OwnCertificate{
		Self: step(c, ownPath), Signer: v.signer(), State: v.certificateState(now),
		Registration: OwnRegistration{
			Mode: g.Mode, AssuredAt: g.AssuredAt, Years: d.Rules.RegistrationYears, Until: report.RegistrationUntil,
			TooOld: !report.RegistrationUntil.IsZero() && !now.Before(report.RegistrationUntil),
		},
		ChangeURL: step(c, passwordPath), BackURL: back(c),
	}
	if v.Credential != nil && v.Credential.Certificate != nil {
		k := v.Credential.Certificate
		view.Serial, view.From, view.Until, view.RevokedAt = k.Serial, k.NotBefore, k.NotAfter, k.RevokedAt
	}
	if _, err := d.grant(v); err == nil && view.State == InForce {
		view.State, view.DaysLeft = Ending, d.daysUntil(view.Until)
	}
	view.Obstacles = report.Certify
	if v.Certified {
		view.Obstacles = report.Renew
	}
	view.Obstacles, view.RenewalFrom = besideTime(view.Obstacles, report.RenewalFrom)
	for _, a := range affairs() {
		if d.obstacle(v, a) == nil {
			*view.address(a) = step(c, a.path)
		}
	}
	return view
}

// besideTime takes out of obstacles what waiting mends, and what the state of
// the certificate has told already; the time is when it is mended, zero if
// there is nothing to wait for.
func besideTime(obstacles []*policies.Refusal, from time.Time) ([]*policies.Refusal, time.Time) {
	var rest []*policies.Refusal
	early := false
	for _, o := range obstacles {
		switch o.Code {
		case policies.RenewalTooEarly:
			early = true
		case policies.CertificateSuspended, policies.CredentialExists:
		default:
			rest = append(rest, o)
		}
	}
	if !early {
		from = time.Time{}
	}
	return rest, from
}

func (c *OwnCertificate) address(a affair) *string {
	switch a.purpose { //nolint:exhaustive // of affairs
	case signer.ForSuspension:
		return &c.SuspendURL
	case signer.ForRelease:
		return &c.ReleaseURL
	case signer.ForRevocation:
		return &c.RevokeURL
	}
	return &c.IssueURL
}

// certificateState is where the newest certificate stands.
func (v visitor) certificateState(now time.Time) CertificateState {
	if v.Credential == nil || v.Credential.Certificate == nil {
		return NoCertificate
	}
	switch k := v.Credential.Certificate; {
	case !k.RevokedAt.IsZero() && !k.Suspended():
		return CertificateRevoked
	case now.After(k.NotAfter):
		return CertificateExpired
	case k.Suspended():
		return CertificateSuspended
	}
	return InForce
}

// grant asks the rules for a certificate as the module does.
func (d *Door) grant(v visitor) (policies.Grant, error) {
	facts := signer.Facts(v.Citizen, v.Credential, d.Now())
	switch {
	case v.Replaces:
		return policies.Reissue(facts, d.Rules)
	case v.Certified:
		return policies.Renew(facts, d.Rules)
	}
	return policies.IssueCertificate(facts, d.Rules)
}

// daysUntil counts days as a calendar does.
func (d *Door) daysUntil(end time.Time) int {
	zone := cmp.Or(d.Rules.Zone, time.UTC)
	day := func(t time.Time) time.Time {
		t = t.In(zone)
		return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	}
	return int(day(end).Sub(day(d.Now())) / (24 * time.Hour))
}

// obstacle is why an affair cannot be done as the certificate stands.
func (d *Door) obstacle(v visitor, a affair) error {
	switch {
	case a.asked != nil:
		return a.asked.obstacle(d, v, a)
	case a.purpose == signer.ForCertificate:
		_, err := d.grant(v)
		return err
	}
	return signer.Changeable(a.purpose, v.Credential, d.Now())
}

// cannot is where an affair leads that is not possible.
func (d *Door) cannot(c echo.Context, a affair, why error) error {
	if a.asked != nil {
		return a.asked.cannot(c, d, why)
	}
	return seeOther(c, step(c, ownPath))
}

// called is the affair as its pages name it: what renews a certificate makes
// the first one too.
func (a affair) called(v visitor) Affair {
	if a.name == Renew && !v.Certified {
		return Issue
	}
	return a.name
}

// address is one of an affair's, with what the last page asked for.
func (a affair) address(c echo.Context, more string) string {
	address := step(c, a.path+more)
	if !a.distrusts(c) {
		return address
	}
	sign := "?"
	if strings.Contains(address, sign) {
		sign = "&"
	}
	return address + sign + reasonField + "=" + keyReason
}

// distrusts is whether somebody revokes because the key may have been used by
// somebody else.
func (a affair) distrusts(c echo.Context) bool {
	return a.purpose == signer.ForRevocation && c.FormValue(reasonField) == keyReason
}

// page is what the pages of an affair have in common.
func (a affair) page(self string, v visitor) Page {
	page := Page{Self: self, Guard: v.guard()}
	if a.asked != nil {
		page.Request = a.asked.request()
	}
	return page
}

func (a affair) leave(c echo.Context) Leave {
	if a.asked != nil {
		return a.asked.leave()
	}
	return Leave{BackURL: step(c, ownPath)}
}

func (d *Door) affairView(c echo.Context, v visitor, a affair) *AskAffair {
	view := &AskAffair{
		Page: a.page(step(c, a.path), v), Affair: a.called(v), Signer: v.signer(), Tail: v.tail(), SubmitURL: step(c, a.path), Leave: a.leave(c),
	}
	if grant, err := d.grant(v); err == nil && view.Issues() {
		view.Until, view.Issuer = grant.NotAfter, d.Issuer
	}
	return view
}

func (d *Door) askAffair(c echo.Context, a affair) error {
	v, done, err := d.attending(c, a, d.visitor)
	if done || err != nil {
		return err
	}
	if why := d.obstacle(v, a); why != nil {
		return d.cannot(c, a, why)
	}
	return d.show(c, http.StatusOK, d.affairView(c, v, a))
}

func (d *Door) sendAffairCode(c echo.Context, a affair) error {
	v, done, err := d.attending(c, a, d.posted)
	if done || err != nil {
		return err
	}
	if why := d.obstacle(v, a); why != nil {
		return d.cannot(c, a, why)
	}
	order := signer.CodeOrder{Ticket: v.ticket, Purpose: a.purpose}
	if a.asked != nil {
		order.ApplicationID = a.asked.Client.ID
	}
	_, err = d.Module.SendCode(c.Request().Context(), order)
	if err == nil {
		return seeOther(c, a.address(c, "/codigo"))
	}
	return d.affairCodeAgain(c, v, a, err, "")
}

func (d *Door) affairCodeView(c echo.Context, v visitor, a affair) (*AffairCode, error) {
	again := a.address(c, "")
	sent, err := d.codeSent(c.Request().Context(), v, a.purpose, again)
	if err != nil {
		return nil, err
	}
	if sent == nil {
		sent = &CodeSent{Tail: v.tail(), AgainURL: again}
	}
	self := a.address(c, "/codigo")
	return &AffairCode{Page: a.page(self, v), CodeSent: *sent, Affair: a.called(v), SubmitURL: self, Leave: a.leave(c)}, nil
}

// affairCodeAgain asks for the code, and says what was wrong with the last one.
func (d *Door) affairCodeAgain(c echo.Context, v visitor, a affair, wrong error, field string) error {
	view, err := d.affairCodeView(c, v, a)
	if err != nil {
		return err
	}
	return d.again(c, wrong, view, field)
}

func (d *Door) affairCode(c echo.Context, a affair) error {
	v, done, err := d.attending(c, a, d.visitor)
	if done || err != nil {
		return err
	}
	view, err := d.affairCodeView(c, v, a)
	if err != nil {
		return err
	}
	if !view.Sent() || d.obstacle(v, a) != nil {
		return seeOther(c, step(c, a.path))
	}
	return d.show(c, http.StatusOK, view)
}

func (d *Door) carryAffair(c echo.Context, a affair) error {
	v, done, err := d.attending(c, a, d.posted)
	if done || err != nil {
		return err
	}
	if err := d.confirmAffair(c, v, a); err != nil {
		// The same form posted twice: the first one may have done it by now.
		if again, unknown := d.visitor(c, signer.ForAffairs); unknown == nil && again.Spent {
			return d.over(c, again, a)
		}
		return d.affairCodeAgain(c, v, a, err, FieldCode)
	}
	if a.asked != nil {
		return a.asked.done(c, v)
	}
	return d.over(c, v, a)
}

// over is where a session leads that has ended, with an affair or without.
func (d *Door) over(c echo.Context, v visitor, a affair) error {
	if a.asked != nil {
		return a.asked.over(c, d, v, a)
	}
	return seeOther(c, step(c, affairDonePath))
}

// confirmAffair hands both factors to the signer. The session that follows a
// new certificate is not kept: like every affair it ends with its page.
func (d *Door) confirmAffair(c echo.Context, v visitor, a affair) error {
	code, err := signer.ParseCode(c.FormValue(FieldCode))
	if err != nil {
		return err
	}
	answer := signer.Answer{Ticket: v.ticket, Code: code}
	if a.purpose == signer.ForCertificate {
		_, err = d.Module.IssueCredential(c.Request().Context(), answer)
		return err
	}
	change := citizen.CertificateChange{Answer: answer, Purpose: a.purpose, Reason: citizen.Unspecified}
	if a.distrusts(c) {
		change.Reason = citizen.KeyCompromise
	}
	return d.Register.ChangeCertificate(c.Request().Context(), change)
}

// affairDone tells what the session ended with, if it was with an affair.
func (d *Door) affairDone(c echo.Context) error {
	v, err := d.visitor(c, signer.ForAffairs)
	if refusal, ok := asRefusal(err); ok && refusal.Code == policies.SessionExpired {
		return d.sessionEnded(c)
	}
	if err != nil {
		return err
	}
	if !v.Spent {
		return seeOther(c, step(c, ownPath))
	}
	for _, a := range affairs() {
		used, err := d.consumed(c.Request().Context(), v, a.purpose)
		if err != nil {
			return err
		}
		if used {
			return d.showAffairDone(c, v, a)
		}
	}
	return d.sessionEnded(c)
}

// made asks that the certificate is there with which a session has ended: the code
// was consumed before it was made, which may have failed since, or be under way.
func (d *Door) made(v visitor) error {
	if v.Credential == nil || !v.Credential.Certified(d.Now()) || v.Credential.Certificate.NotBefore.Before(v.SpentAt.Truncate(time.Second)) {
		return policies.Refuse(policies.Unavailable).After(5 * time.Second)
	}
	return nil
}

func (d *Door) showAffairDone(c echo.Context, v visitor, a affair) error {
	view := &AffairDone{
		Self: step(c, affairDonePath), Affair: a.name, At: v.SpentAt,
		StateURL: step(c, certificatePath), ActivateURL: step(c, activationPath), ContinueURL: back(c),
	}
	if view.Made() {
		if err := d.made(v); err != nil {
			return err
		}
		view.Until = v.Credential.Certificate.NotAfter
	}
	if view.Revoked() {
		view.ContinueURL = "" // nothing can be signed before another activation
	}
	return d.show(c, http.StatusOK, view)
}
