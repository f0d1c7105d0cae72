package pages

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// What citizens change on their own pages, each with a code of its own.

// path is where an act begins. Assigning a certificate and removing it are one
// page: a profile has one.
func (a MyAct) path() string {
	switch a {
	case ActEmail:
		return emailPath
	case ActDeparture:
		return departurePath
	case ActAssociate, ActDissociate, ActPassword, ActNotices:
	}
	return associatedPath
}

func (a MyAct) purpose() signer.Purpose {
	switch a {
	case ActEmail:
		return signer.ForEmail
	case ActDeparture:
		return signer.ForDeregistration
	case ActAssociate, ActDissociate, ActPassword, ActNotices:
	}
	return signer.ForAssociation
}

// of is the act as it stands: a certificate that is there can be removed, and
// none assigned in its place.
func (a MyAct) of(v visitor) MyAct {
	if a == ActAssociate && v.Citizen.Associated != nil {
		return ActDissociate
	}
	return a
}

// possible is whether there is anything to confirm.
func (a MyAct) possible(c echo.Context, v visitor) bool {
	switch a.of(v) {
	case ActEmail:
		_, held := heldEmail(c)
		return held
	case ActAssociate:
		_, err := heldShown(c)
		return err == nil
	case ActDeparture, ActDissociate, ActPassword, ActNotices:
	}
	return true
}

// here is the page of the navigation that an act belongs to.
const here = "profile"

// sendAct sends the code that an act is confirmed with.
func (r OwnRoom) sendAct(a MyAct) ownHandler {
	return func(c echo.Context, v visitor) error {
		if !a.possible(c, v) {
			return seeOther(c, a.path())
		}
		_, err := r.Module.SendCode(c.Request().Context(), signer.CodeOrder{Ticket: v.ticket, Purpose: a.purpose()})
		if err == nil {
			return seeOther(c, a.path()+"/codigo")
		}
		return r.actCodeAgain(c, v, a, err, "")
	}
}

func (r OwnRoom) actCodeView(c echo.Context, v visitor, a MyAct) (*MyCode, error) {
	self := a.path() + "/codigo"
	again := self + "/otro"
	sent, err := r.codeSent(c.Request().Context(), v, a.purpose(), again)
	if err != nil {
		return nil, err
	}
	if sent == nil {
		sent = &CodeSent{Tail: v.tail(), AgainURL: again}
	}
	return &MyCode{Page: r.page(v, self, here), CodeSent: *sent, Act: a.of(v), SubmitURL: self, BackURL: a.path()}, nil
}

// actCodeAgain asks for the code, and says what was wrong with the last one.
func (r OwnRoom) actCodeAgain(c echo.Context, v visitor, a MyAct, wrong error, field string) error {
	view, err := r.actCodeView(c, v, a)
	if err != nil {
		return err
	}
	return r.again(c, wrong, view, field)
}

func (r OwnRoom) actCode(a MyAct) ownHandler {
	return func(c echo.Context, v visitor) error {
		view, err := r.actCodeView(c, v, a)
		if err != nil {
			return err
		}
		if !view.Sent() || !a.possible(c, v) {
			return seeOther(c, a.path())
		}
		return r.show(c, http.StatusOK, view)
	}
}

// carryAct does what the code confirms.
func (r OwnRoom) carryAct(a MyAct) ownHandler {
	return func(c echo.Context, v visitor) error {
		if !a.possible(c, v) {
			return seeOther(c, a.path())
		}
		code, err := signer.ParseCode(c.FormValue(FieldCode))
		if err != nil {
			return r.actCodeAgain(c, v, a, err, FieldCode)
		}
		next, err := r.carry(c, a.of(v), signer.Answer{Ticket: v.ticket, Code: code})
		if err == nil {
			return seeOther(c, next)
		}
		// The same form posted twice: the first one may have done it by now.
		if again, unknown := r.guest(c); unknown == nil && again.hasLeft() {
			return seeOther(c, departurePath+"/hecho")
		}
		return r.actCodeAgain(c, v, a, err, FieldCode)
	}
}

// carry hands both factors to the signer, and gives the page that says so.
func (r OwnRoom) carry(c echo.Context, a MyAct, answer signer.Answer) (next string, err error) {
	ctx := c.Request().Context()
	switch a {
	case ActDeparture:
		return departurePath + "/hecho", r.Profile.Deregister(ctx, answer)
	case ActDissociate:
		return doneURL(ActDissociate), r.Profile.Dissociate(ctx, answer)
	case ActAssociate:
		shown, err := heldShown(c)
		if err == nil {
			err = r.Profile.Associate(ctx, answer, shown)
		}
		if err == nil {
			r.drop(c, shownCookie, ownPagesPath)
		}
		return doneURL(ActAssociate), err
	case ActEmail:
		typed, _ := heldEmail(c)
		email, err := citizen.ParseEmail(typed)
		if err == nil {
			err = r.Profile.ChangeEmail(ctx, answer, email)
		}
		return emailPath + "/enviado", err
	case ActPassword, ActNotices:
	}
	return "", policies.Refuse(policies.RequestMalformed)
}

// --- The address ---

// heldEmail is the address that was typed on the page before: it has no place in
// an address of a page.
func heldEmail(c echo.Context) (string, bool) {
	cookie, err := c.Cookie(emailCookie)
	if err != nil {
		return "", false
	}
	text, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	return string(text), err == nil
}

func (r OwnRoom) emailView(v visitor) *MyEmail {
	return &MyEmail{Page: r.page(v, emailPath, here), Present: v.Citizen.Email, Tail: v.tail(), SubmitURL: emailPath, BackURL: profilePath}
}

func (r OwnRoom) askEmail(c echo.Context, v visitor) error {
	return r.show(c, http.StatusOK, r.emailView(v))
}

func (r OwnRoom) takeEmail(c echo.Context, v visitor) error {
	view := r.emailView(v)
	view.Typed = c.FormValue(FieldNewEmail)
	email, err := citizen.ParseEmail(view.Typed)
	if err != nil {
		return r.again(c, err, view, FieldNewEmail)
	}
	r.keep(c, emailCookie, emailPath, base64.RawURLEncoding.EncodeToString([]byte(email.String())))
	if _, err := r.Module.SendCode(c.Request().Context(), signer.CodeOrder{Ticket: v.ticket, Purpose: signer.ForEmail}); err != nil {
		return r.actCodeAgain(c, v, ActEmail, err, "")
	}
	return seeOther(c, emailPath+"/codigo")
}

func (r OwnRoom) emailMailed(c echo.Context, v visitor) error {
	life, err := r.Own.AwaitedLink(c.Request().Context(), v.Citizen.ID, citizen.PendingEmail, r.Now())
	if err != nil {
		return err
	}
	return r.show(c, http.StatusOK, &LinkMailed{Page: r.page(v, emailPath+"/enviado", here), Act: ActEmail, Life: life, HomeURL: profilePath})
}

// --- The certificate to log in with ---

// heldShown is the ticket of a certificate that was shown to be assigned.
func heldShown(c echo.Context) (signer.Ticket, error) {
	cookie, err := c.Cookie(shownCookie)
	if err != nil {
		return signer.Ticket{}, policies.Refuse(policies.SessionExpired)
	}
	return signer.ParseTicket(cookie.Value)
}

func (r OwnRoom) association(c echo.Context, v visitor) error {
	certificate, err := r.associated(c, v)
	if err != nil {
		return err
	}
	_, unshown := heldShown(c)
	return r.show(c, http.StatusOK, &MyAssociation{
		Page: r.page(v, associatedPath, here), Certificate: certificate, Shown: unshown == nil && certificate == nil,
		Tail: v.tail(), SubmitURL: associatedPath, ShowURL: r.shownAt(citizen.ProcedureAssociate), BackURL: profilePath,
	})
}

func (r OwnRoom) associated(c echo.Context, v visitor) (*MyCertificate, error) {
	a, err := r.Own.AssociatedCertificate(c.Request().Context(), v.Citizen.ID)
	if err != nil || a == nil {
		return nil, err
	}
	return &MyCertificate{Subject: a.Subject, Issuer: a.Issuer, Serial: a.Serial, Until: a.NotAfter, Expired: r.Now().After(a.NotAfter)}, nil
}

// --- Leaving ---

func (r OwnRoom) askDeparture(c echo.Context, v visitor) error {
	waiting, err := r.Own.History(c.Request().Context(), citizen.HistoryQuery{Identifier: v.Citizen.Identifier, State: signer.Pending, Limit: 100})
	if err != nil {
		return err
	}
	view := &MyDeparture{
		Page: r.page(v, departurePath, here), State: v.certificateState(r.Now()), Waiting: len(waiting), Tail: v.tail(),
		SubmitURL: departurePath, BackURL: profilePath,
	}
	if v.Credential != nil && v.Credential.Certificate != nil {
		view.Until = v.Credential.Certificate.NotAfter
	}
	return r.show(c, http.StatusOK, view)
}

// hasLeft tells whether the session ended with the registration.
func (v visitor) hasLeft() bool { return v.Spent && v.Citizen.Status == signer.Deregistered }

func (r OwnRoom) departed(c echo.Context) error {
	v, err := r.guest(c)
	if refusal, ok := asRefusal(err); ok && refusal.Code == policies.SessionExpired {
		return seeOther(c, "/")
	}
	if err != nil {
		return err
	}
	if !v.hasLeft() {
		return seeOther(c, departurePath)
	}
	return r.show(c, http.StatusOK, &MyDone{Self: departurePath + "/hecho", Act: ActDeparture, At: v.SpentAt, HomeURL: "/"})
}

// --- Notices ---

func allNotices() []signer.Notices {
	return []signer.Notices{signer.NoticesMail, signer.NoticesSMS, signer.NoticesBoth, signer.NoticesNone}
}

func (r OwnRoom) noticesView(v visitor) *MyNotices {
	return &MyNotices{Page: r.page(v, noticesPath, here), Chosen: v.Citizen.Notices, Choices: allNotices(), SubmitURL: noticesPath, BackURL: profilePath}
}

func (r OwnRoom) askNotices(c echo.Context, v visitor) error {
	return r.show(c, http.StatusOK, r.noticesView(v))
}

func (r OwnRoom) setNotices(c echo.Context, v visitor) error {
	view := r.noticesView(v)
	view.Chosen = signer.Notices(c.FormValue(FieldNotices))
	if err := r.Profile.SetNotices(c.Request().Context(), v.ticket, view.Chosen); err != nil {
		return r.again(c, err, view, FieldNotices)
	}
	return seeOther(c, doneURL(ActNotices))
}

// --- Mailed links ---

// passwordMailedPath tells that a change of password waits for its link.
const passwordMailedPath = passwordPath + "/enviado"

func (r OwnRoom) passwordMailed(c echo.Context) error {
	view := &LinkMailed{Self: step(c, passwordMailedPath), Act: ActPassword, HomeURL: cmp.Or(back(c), "/")}
	if v, err := r.visitor(c, signer.ForAffairs); err == nil { // else the session is over, and the mail says it
		if view.Life, err = r.Own.AwaitedLink(c.Request().Context(), v.Citizen.ID, citizen.PendingPassword, r.Now()); err != nil {
			return err
		}
	}
	return r.show(c, http.StatusOK, view)
}

// link asks whether what a link stands for is to be done: programs that read
// mail open links too, and must change nothing by it.
func (r OwnRoom) link(c echo.Context) error {
	link, err := citizen.ParseLink(c.QueryParam(citizen.LinkParameter))
	if err != nil {
		return err
	}
	pending, err := r.Own.WaitingChange(c.Request().Context(), link.Hash(), r.Now())
	if err != nil {
		return err
	}
	return r.show(c, http.StatusOK, &FollowLink{
		Act: MyAct(pending.Kind), ExpiresAt: pending.ExpiresAt, Secret: link.Encode(), SubmitURL: citizen.LinkPath,
	})
}

func (r OwnRoom) follow(c echo.Context) error {
	link, err := citizen.ParseLink(c.FormValue(citizen.LinkParameter))
	if err != nil {
		return err
	}
	kind, err := r.Profile.Follow(c.Request().Context(), link)
	if err != nil {
		return err
	}
	return seeOther(c, citizen.LinkPath+"/hecho?"+whatParameter+"="+string(kind))
}

func (r OwnRoom) followed(c echo.Context) error {
	act := MyAct(c.QueryParam(whatParameter))
	if act != ActEmail && act != ActPassword {
		return seeOther(c, "/")
	}
	return r.show(c, http.StatusOK, &LinkFollowed{Self: citizen.LinkPath + "/hecho?" + whatParameter + "=" + string(act), Act: act, HomeURL: ownPagesPath})
}

// --- Profile ---

func (r OwnRoom) profile(c echo.Context, v visitor) error {
	certificate, err := r.associated(c, v)
	if err != nil {
		return err
	}
	view := &MyProfile{
		Page: r.page(v, profilePath, "profile"), Name: v.Citizen.GivenName + " " + v.Citizen.Surnames, Identifier: v.Citizen.Identifier,
		DocumentUntil: v.Citizen.DocumentUntil, Phone: signer.MaskPhone(v.Citizen.Phone), Email: v.Citizen.Email, Notices: v.Citizen.Notices,
		Associated: certificate, Changes: v.Via == signer.ViaPassword,
		EmailURL: emailPath, PhoneURL: r.explained(phonePath), PasswordURL: passwordPath, ForgottenURL: forgottenPath, NoticesURL: noticesPath,
		LeaveAllURL:  myLeavePath + "/todas",
		AssociateURL: associatedPath, DepartureURL: departurePath,
		IdentifyURL: myEntryPath + "?" + whereParameter + "=" + profilePath + "&" + whyParameter + "=1",
	}
	if v.Credential != nil {
		view.PasswordAt = v.Credential.PasswordAt.Truncate(time.Minute)
	}
	return r.show(c, http.StatusOK, view)
}
