package staff

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/rubrica-firma/rubrica/personnel"
	"github.com/rubrica-firma/rubrica/policies"
)

// The cookies, of names that another door on the same host does not have: no
// port keeps cookies apart. The prefix has browsers refuse them without TLS, from another
// host or for a part of the site (RFC 6265bis, section 4.1.3.2).
func (d *Door) sessionCookie() string   { return "__Host-rubrica-" + d.Kind.Name }
func (d *Door) challengeCookie() string { return d.sessionCookie() + "-desafio" }

// How an identity was proved.
const (
	byCertificate = "certificate"
	byPasskey     = "passkey"
	byToken       = "token"
	byInvitation  = "invitation" // proves no identity: it lets one be enrolled
)

const visitKey = "rubrica.visit"

// Visit is the session that the request's cookie belongs to; it goes on for as
// long as there are requests (policies.SessionExpired).
func (d *Door) Visit(c echo.Context) (personnel.Visit, error) {
	if v, known := c.Get(visitKey).(personnel.Visit); known {
		return v, nil
	}
	ctx, now := c.Request().Context(), d.Now()
	_, hash := secretIn(c, d.sessionCookie())
	v, err := d.Store.Visit(ctx, hash, now)
	if err != nil {
		return personnel.Visit{}, err
	}
	if v.By == byToken || !d.holds(c.Request(), v.Certificate) {
		return personnel.Visit{}, policies.Refuse(policies.SessionExpired)
	}
	until := earlier(now.Add(d.Limits.Idle), v.CreatedAt.Add(d.Limits.Visit))
	if until.Sub(v.ExpiresAt) >= d.Limits.Idle/30 { // not for every picture of a page
		if err := d.Store.ProlongVisit(ctx, hash, until); err != nil {
			return personnel.Visit{}, err
		}
		v.ExpiresAt = until
	}
	c.Set(visitKey, v)
	return v, nil
}

// State keeps why they ask, from now on.
func (d *Door) State(c echo.Context, purpose string) error {
	v, err := d.Visit(c)
	if err != nil {
		return err
	}
	if v.Purpose, err = Purpose(purpose); err != nil {
		return err
	}
	if err := d.Store.StatePurpose(c.Request().Context(), v.Hash, v.Purpose); err != nil {
		return err
	}
	c.Set(visitKey, v)
	c.Set(askingKey, personnel.Asking{Identity: identity(v.Account, v.By), Purpose: v.Purpose})
	return nil
}

// Leave ends the session.
func (d *Door) Leave(c echo.Context) error {
	_, hash := secretIn(c, d.sessionCookie())
	setSecret(c, d.sessionCookie(), "", 0)
	c.Set(visitKey, nil)
	c.Set(askingKey, nil)
	return d.Store.CloseVisit(c.Request().Context(), hash)
}

// The lengths of a purpose, in characters.
const (
	minPurpose = 5
	maxPurpose = 200
)

// Purpose reads why somebody asks (policies.PurposeMissing).
func Purpose(text string) (string, error) {
	text = strings.TrimSpace(text)
	n := utf8.RuneCountInString(text)
	if !utf8.ValidString(text) || n < minPurpose || n > maxPurpose || strings.ContainsFunc(text, hidden) {
		return "", policies.Refuse(policies.PurposeMissing)
	}
	return text, nil
}

// hidden is what has no place in a line that people read, such as control
// characters and those that turn the direction of writing.
func hidden(r rune) bool { return !unicode.IsGraphic(r) }

// open begins a session with a secret of its own, whatever cookie came, and ends
// the one that the browser had.
func (d *Door) open(c echo.Context, a personnel.Account, by string, certificate []byte) error {
	ctx, now := c.Request().Context(), d.Now()
	if before, hash := secretIn(c, d.sessionCookie()); before != "" {
		if err := d.Store.CloseVisit(ctx, hash); err != nil {
			return err
		}
	}
	secret, hash := newSecret()
	err := d.Store.OpenVisit(ctx, personnel.Visit{
		Hash: hash, Account: a, By: by, Certificate: certificate, CreatedAt: now, ExpiresAt: now.Add(d.Limits.Idle),
	})
	if err != nil {
		return err
	}
	setSecret(c, d.sessionCookie(), secret, d.Limits.Visit)
	return nil
}

// newSecret draws one, with the form in which it is kept: of 256 random bits a
// fast hash tells nothing.
func newSecret() (secret string, hash []byte) {
	b := make([]byte, 32)
	rand.Read(b)
	secret = base64.RawURLEncoding.EncodeToString(b)
	return secret, hashOf(secret)
}

func hashOf(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// secretIn is a cookie's value, empty without one, and its hash.
func secretIn(c echo.Context, name string) (secret string, hash []byte) {
	if cookie, err := c.Request().Cookie(name); err == nil {
		secret = cookie.Value
	}
	return secret, hashOf(secret)
}

// setSecret sends a cookie; one without a life is taken back.
func setSecret(c echo.Context, name, value string, life time.Duration) {
	age := int(life / time.Second)
	if value == "" {
		age = -1
	}
	c.SetCookie(&http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: age, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
