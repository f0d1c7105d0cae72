package oauth

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/luikyv/go-oidc/pkg/goidc"

	"github.com/rubrica-firma/rubrica/api"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// An authorisation request is answered in two steps that meet in ask: the first
// sends the citizen to a page of ours; the second, when the citizen has decided
// there, is a request that this server makes to itself (finish), so that the code
// leaves in the same answer, and the consent goes under it, without anybody
// keeping it in between.

// pushed looks at an authorisation request that an application hands in.
func (s *Server) pushed(ctx context.Context, as *goidc.AuthnSession, _ *goidc.Client) error {
	v := visitOf(ctx)
	if err := v.spend(); err != nil {
		return err
	}
	s.note(v, as)
	return s.checkAsked(v.client, as)
}

// note keeps what go-oidc knows no place for.
func (*Server) note(v *visit, as *goidc.AuthnSession) {
	own := map[string]string{memberTitle: v.title, memberLocale: v.locale, memberAccount: v.account}
	if as.Scopes == api.ScopeDeletion {
		own[memberCredential] = v.named
	}
	for name, value := range own {
		if value != "" {
			as.Store[name] = value
		}
	}
}

// checkAsked demands one scope of a citizen's, and what belongs to it.
func (s *Server) checkAsked(client signer.Client, as *goidc.AuthnSession) error {
	scope := as.Scopes
	if scope == "" && len(as.AuthDetails) > 0 {
		scope = api.ScopeCredential // RFC 9396, section 3: it needs none beside
	}
	switch {
	case !ofCitizens(scope) || !slices.Contains(s.offered(client), scope):
		return goidc.NewError(goidc.ErrorCodeInvalidScope, "the scope must be one that citizens grant, and the client's")
	case scope != api.ScopeCredential && len(as.AuthDetails) > 0:
		return goidc.NewError(goidc.ErrorCodeInvalidAuthDetails, "that scope has no authorization_details")
	case scope == api.ScopeCredential:
		if _, err := oneDetail(as.AuthDetails); err != nil {
			return goidc.WrapError(goidc.ErrorCodeInvalidAuthDetails, "invalid authorization_details", err)
		}
	}
	as.GrantedScopes, as.GrantedAuthDetails = scope, as.AuthDetails
	return nil
}

// ask is go-oidc's question whether the citizen agrees.
func (s *Server) ask(w http.ResponseWriter, r *http.Request, as *goidc.AuthnSession, c *goidc.Client) (goidc.Status, error) {
	v := visitOf(r.Context())
	switch {
	case !slices.Contains(v.client.ReturnAddresses, as.RedirectURI): // it has been taken away since
		return goidc.StatusFailure, goidc.NewError(goidc.ErrorCodeAccessDenied, "the return address is no longer registered")
	case v.outcome == nil:
		return s.begin(w, r, as)
	case v.outcome.denied:
		return goidc.StatusFailure, goidc.NewError(goidc.ErrorCodeAccessDenied, "the user denied the request")
	case v.outcome.refusal != nil:
		return goidc.StatusFailure, refused(v.outcome.refusal)
	}
	if err := s.checkAsked(v.client, as); err != nil {
		return goidc.StatusFailure, err
	}
	as.Subject, v.credential = v.outcome.subject, cmp.Or(v.outcome.errand, member(as, memberCredential))
	return goidc.StatusSuccess, nil
}

// begin sends the citizen to the page where to decide.
func (s *Server) begin(w http.ResponseWriter, r *http.Request, as *goidc.AuthnSession) (goidc.Status, error) {
	v := visitOf(r.Context())
	if as.PushedAuthReqID == "" && v.session == nil {
		s.note(v, as)
	}
	if err := s.checkAsked(v.client, as); err != nil {
		return goidc.StatusFailure, err
	}
	next := s.ConsentPath + as.ID
	if as.GrantedScopes == api.ScopeCredential {
		opened, err := s.open(r.Context(), as, "")
		if refusal, ok := errors.AsType[*policies.Refusal](err); ok && refusal.Code != policies.Internal {
			return goidc.StatusFailure, refused(refusal)
		}
		if err != nil {
			v.failure = err
			return goidc.StatusFailure, goidc.NewError("server_error", "")
		}
		if opened {
			next = s.SigningPath + member(as, memberRequest)
		}
	}
	w.Header().Set("Location", next)
	w.WriteHeader(http.StatusSeeOther)
	return goidc.StatusPending, nil
}

// open makes a signature request, if it is known whose.
func (s *Server) open(ctx context.Context, as *goidc.AuthnSession, identifier string) (done bool, err error) {
	detail, err := oneDetail(as.GrantedAuthDetails)
	if err != nil || detail.CredentialID == "" && identifier == "" {
		return false, err
	}
	v := visitOf(ctx)
	opened, err := s.Requests.Open(ctx, Order{
		Client: v.client, CredentialID: detail.CredentialID, Identifier: identifier, Account: member(as, memberAccount), Detail: detail,
		Title: member(as, memberTitle), Locale: member(as, memberLocale), ReturnURL: s.Issuer + strings.TrimSuffix(s.ConsentPath, "/"),
		Key: "oauth-" + hex.EncodeToString(hashOf(as.ID)), Life: time.Unix(int64(as.ExpiresAt), 0).Sub(v.now),
	})
	if err != nil {
		return false, err
	}
	as.Subject, as.Store[memberRequest], as.Store[memberCredential] = opened.Subject, opened.RequestID, opened.CredentialID
	return true, nil
}

// refused is what an application hears of a refusal.
func refused(r *policies.Refusal) goidc.Error {
	switch r.Code { //nolint:exhaustive // the others say that it may not be
	case policies.RateLimited, policies.Busy, policies.Unavailable, policies.LogSuspended:
		return goidc.NewError("temporarily_unavailable", string(r.Code))
	case policies.RequestMalformed, policies.CredentialMissing, policies.DigestRefused, policies.RequestTooManyDocs, policies.ScopeMissing:
		return goidc.NewError(goidc.ErrorCodeInvalidRequest, string(r.Code))
	}
	return goidc.NewError(goidc.ErrorCodeAccessDenied, string(r.Code))
}

// finish answers an authorisation request: the address at which the application
// waits for its citizen.
func (s *Server) finish(ctx context.Context, row signer.AuthorisationSession, o outcome) (string, error) {
	if row.Ended || !s.Now().Before(row.ExpiresAt) {
		return "", policies.Refuse(policies.RequestState)
	}
	// The citizen has decided, and an authorisation may have been made: what
	// follows does not depend on whether the browser still waits.
	ctx, v := s.visitFor(context.WithoutCancel(ctx))
	v.session, v.outcome = &row, &o
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, authorizePath+"/session", nil)
	if err != nil {
		return "", fmt.Errorf("asking for a code: %w", err)
	}
	a := s.run(r)
	address := a.header.Get("Location")
	if a.status != http.StatusSeeOther || address == "" {
		return "", s.failed(v)
	}
	return address, nil
}

// failed is why go-oidc had no answer.
func (*Server) failed(v *visit) error {
	var known goidc.Error
	switch {
	case v.failure == nil:
		return errors.New("the authorisation server has no answer")
	case errors.Is(v.failure, goidc.ErrNotFound):
		return fmt.Errorf("%w: %w", policies.Refuse(policies.RequestUnknown), v.failure)
	case errors.Is(v.failure, policies.Refuse(policies.RequestState)):
		return v.failure
	case errors.As(v.failure, &known):
		return fmt.Errorf("%w: %w", policies.Refuse(policies.RequestMalformed, "field", string(known.Code)), v.failure)
	}
	return v.failure
}

// Waiting is the address at which the application waits for the citizen of a
// signature request (policies.RequestUnknown: nobody does).
func (s *Server) Waiting(ctx context.Context, requestID string) (string, error) {
	row, err := s.Store.SessionOf(ctx, requestID)
	if err != nil {
		return "", err
	}
	as, err := storage{s}.session(row, "")
	if err != nil {
		return "", err
	}
	return as.RedirectURI, nil
}

// Granted ends the authorisation request that a signature request came of: its
// citizen has consented, and the SAD goes to the application, under the code that
// the address holds. policies.RequestUnknown says that it came of none.
func (s *Server) Granted(ctx context.Context, requestID string, sad signer.SAD, until time.Time) (string, error) {
	row, err := s.Store.SessionOf(ctx, requestID)
	if err != nil {
		return "", err
	}
	return s.finish(ctx, row, outcome{subject: row.Subject, sad: &consent{sad: sad, until: until}})
}

// Denied is Granted for a citizen who did not want to or, if a refusal says why,
// could not.
func (s *Server) Denied(ctx context.Context, requestID string, why *policies.Refusal) (string, error) {
	row, err := s.Store.SessionOf(ctx, requestID)
	if err != nil {
		return "", err
	}
	return s.finish(ctx, row, outcome{denied: why == nil, refusal: why})
}

// Asked is an authorisation request as its citizen may see it.
type Asked struct {
	Client    signer.Client
	Scope     string
	Title     string
	Locale    string
	Qualifier string // of the certificate that is asked for
	// Account is whom the application asks, a DNI or NIE, empty if it is for anybody.
	Account string
	// CredentialID is which one the citizen is to give up, empty if any will do.
	CredentialID string
	// RequestID is what is to be signed, empty if nothing or not yet.
	RequestID string
	// Return is where the application waits, Days how long it may refresh what
	// it is granted.
	Return    string
	Days      int
	ExpiresAt time.Time
}

// Asked reads the authorisation request of an id (policies.RequestUnknown,
// policies.RequestExpired, policies.RequestState).
func (s *Server) Asked(ctx context.Context, id string) (Asked, error) {
	ctx, _ = s.visitFor(ctx)
	_, as, client, err := s.asked(ctx, id)
	if err != nil {
		return Asked{}, err
	}
	out := Asked{
		Client: client, Scope: as.GrantedScopes, Title: member(as, memberTitle), Locale: member(as, memberLocale), Account: member(as, memberAccount),
		RequestID: member(as, memberRequest), Return: as.RedirectURI, Days: int(refreshLife.Hours() / 24), ExpiresAt: time.Unix(int64(as.ExpiresAt), 0),
	}
	if detail, err := oneDetail(as.GrantedAuthDetails); err == nil {
		out.Qualifier = detail.Qualifier
	}
	if out.Scope == api.ScopeDeletion {
		out.CredentialID = member(as, memberCredential)
	}
	return out, nil
}

// Meant is whether the application asks this citizen (policies.NotTheSigner).
func (a Asked) Meant(who signer.Citizen) error { return meant(a.Account, who) }

func meant(account string, who signer.Citizen) error {
	if account != "" && account != who.Identifier {
		return policies.Refuse(policies.NotTheSigner)
	}
	return nil
}

func (s *Server) asked(ctx context.Context, id string) (signer.AuthorisationSession, *goidc.AuthnSession, signer.Client, error) {
	row, err := s.Store.Session(ctx, hashOf(id))
	switch {
	case err != nil:
		return row, nil, signer.Client{}, err
	case row.Ended:
		return row, nil, signer.Client{}, policies.Refuse(policies.RequestState)
	case !s.Now().Before(row.ExpiresAt):
		return row, nil, signer.Client{}, policies.Refuse(policies.RequestExpired)
	}
	as, err := storage{s}.session(row, id)
	if err != nil {
		return row, nil, signer.Client{}, err
	}
	client, err := s.Store.Application(ctx, row.ApplicationID)
	if err == nil && !slices.Contains(s.offered(client), as.GrantedScopes) { // it has been taken away since
		err = policies.Refuse(policies.ScopeMissing, "scope", as.GrantedScopes)
	}
	return row, as, client, err
}

// Done ends an authorisation request of scope credential_creation or
// credential_deletion: its citizen has confirmed, and what was asked for has been
// done with that credential. Nothing is left to be done for the application.
func (s *Server) Done(ctx context.Context, id string, who signer.Citizen, credentialID string) (string, error) {
	row, as, _, err := s.asked(ctx, id)
	if err == nil && !isErrand(as.GrantedScopes) {
		err = policies.Refuse(policies.RequestState)
	}
	if err != nil {
		return "", err
	}
	return s.finish(ctx, row, outcome{subject: who.ID, errand: credentialID})
}

// Agree ends an authorisation request of scope service: the citizen, who has
// logged in with that ticket, agrees, and the log says so before anything is
// granted. One of scope credential that named nobody is now somebody's, and goes
// on at the signing page.
func (s *Server) Agree(ctx context.Context, id string, who signer.Citizen, ticket signer.Ticket) (string, error) {
	ctx, v := s.visitFor(ctx)
	row, as, client, err := s.asked(ctx, id)
	if err == nil {
		err = meant(member(as, memberAccount), who)
	}
	if err != nil {
		return "", err
	}
	switch as.GrantedScopes {
	case api.ScopeCreation, api.ScopeDeletion:
		return "", policies.Refuse(policies.RequestState) // Done ends them
	case api.ScopeService:
		consent, err := s.Consents.Consent(ctx, signer.ConsentOrder{
			Ticket: ticket, ApplicationID: client.ID, Scopes: strings.Fields(as.GrantedScopes),
		})
		if err != nil {
			return "", err
		}
		return s.finish(ctx, row, outcome{subject: who.ID, consent: consent})
	}
	v.client, v.session = client, &row
	_, err = s.open(ctx, as, who.Identifier)
	if refusal, ok := errors.AsType[*policies.Refusal](err); ok && refusal.Code != policies.Internal {
		return s.finish(ctx, row, outcome{refusal: refusal})
	}
	if err != nil {
		return "", err
	}
	if err := (storage{s}).SaveSession(ctx, as); err != nil {
		return "", err
	}
	return s.SigningPath + member(as, memberRequest), nil
}

// Decline ends an authorisation request whose citizen does not agree or, if a
// refusal says why, cannot.
func (s *Server) Decline(ctx context.Context, id string, why *policies.Refusal) (string, error) {
	row, _, _, err := s.asked(ctx, id)
	if err != nil {
		return "", err
	}
	return s.finish(ctx, row, outcome{denied: why == nil, refusal: why})
}

// isSpaced is whether a text is words with one space between them, none twice.
func isSpaced(words string) bool {
	list := strings.Split(words, " ")
	for i, w := range list {
		if w == "" || slices.Contains(list[:i], w) {
			return false
		}
	}
	return true
}
