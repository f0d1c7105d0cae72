package oauth

import (
	"bytes"
	"context"
	"crypto/x509"
	"net/http"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
)

// shown is what a request shows its application by, beside a certificate.
type shown string

const (
	byNothing   shown = ""
	byBasic     shown = "client_secret_basic"
	byPost      shown = "client_secret_post"
	byAssertion shown = "private_key_jwt"
)

// visit is one request on its way through go-oidc: what our side of it has to
// know of the other calls of the same request.
type visit struct {
	now         time.Time
	shown       shown
	certificate *x509.Certificate
	redirect    string // redirect_uri as it was sent
	title       string // `description` of the authorisation request
	locale      string // its `lang`
	named       string // its `credentialID`
	account     string // its `account`

	client signer.Client // that go-oidc asked for

	session *signer.AuthorisationSession // that goes on, without its id
	outcome *outcome                     // what the citizen decided
	// credential is what the citizen signs with, has had made or has given up.
	credential string
	granted    *signer.OAuthGrant // that a code or a refresh token led to
	code       bool               // it was a code
	sad        *consent

	failure error // what go-oidc could not answer

	// turn spends one of the application's turns; late is why it has to wait.
	turn func(signer.Client) error
	late error
}

// spend is asked when the application has shown who it is, and before anything is
// used up that it could not show again. Several questions of one request are one
// turn.
func (v *visit) spend() error {
	if v.turn == nil {
		return v.late
	}
	turn := v.turn
	v.turn = nil
	v.late = turn(v.client)
	return v.late
}

// outcome ends an authorisation request.
type outcome struct {
	subject string            // citizen's id
	consent string            // its id, of a grant that is over no signature
	errand  string            // id of the credential that was made or given up
	denied  bool              // by the citizen
	refusal *policies.Refusal // why it cannot be granted
	sad     *consent
}

// consent is an SAD on its way from the citizen's page to its token.
type consent struct {
	sad   signer.SAD
	until time.Time
}

type visitKey struct{}

func (s *Server) visitFor(ctx context.Context) (context.Context, *visit) {
	v := &visit{now: s.Now()}
	return context.WithValue(ctx, visitKey{}, v), v
}

// visitOf is the zero visit outside a request of ours.
func visitOf(ctx context.Context) *visit {
	if v, ok := ctx.Value(visitKey{}).(*visit); ok {
		return v
	}
	return &visit{}
}

// noteFailure is told of what go-oidc answers with an error.
func noteFailure(ctx context.Context, err error) { visitOf(ctx).failure = err }

// keepFailure leaves the answer to us.
func keepFailure(_ http.ResponseWriter, r *http.Request, err error) error {
	visitOf(r.Context()).failure = err
	return nil
}

// answer is what go-oidc says, before anybody hears it.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// run lets go-oidc answer.
func (s *Server) run(r *http.Request) *answer {
	a := &answer{header: http.Header{}}
	s.provider.ServeHTTP(a, r)
	return a
}
