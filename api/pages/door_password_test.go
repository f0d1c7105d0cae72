package pages_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/policies"
)

// choosing is a browser at the page of the new password.
func choosing(t *testing.T, code string) *house {
	t.Helper()
	h := newHouse(t)
	h.open("/contrasena?firma=" + requestID)
	h.submit(form{"identifier": identifier, "password_now": present})
	h.says("/contrasena/codigo", http.StatusOK, "¿Qué código le ha llegado al móvil?", "421")
	h.submit(form{"code": code})
	h.says("/contrasena/nueva", http.StatusOK, "¿Cuál será su contraseña nueva?", "Tiene al menos 8 caracteres.")
	return h
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	h := choosing(t, "2468-1357")
	h.open("/contrasena/nueva?firma=" + requestID) // reload
	h.submit(form{"password_new": next, "password_again": next})
	h.says("/contrasena/hecho", http.StatusOK, "Ha cambiado su contraseña", "Su certificado de firma y su clave siguen siendo los mismos.")
	if h.far.password != next {
		t.Errorf("got password %q, want the new one", h.far.password)
	}
	if !strings.Contains(h.seen.String(), `href="/firma/`+requestID+`"`) {
		t.Error("got no way back to the signature")
	}
	for _, path := range []string{"/contrasena/codigo", "/contrasena/nueva", "/contrasena/hecho"} {
		h.open(path)
		h.says("/contrasena/hecho", http.StatusOK, "Ha cambiado su contraseña")
	}
	for _, secret := range []string{present, next, rightCode, "2468-1357", "2468 1357"} {
		if strings.Contains(h.seen.String(), secret) || strings.Contains(h.logged.String(), secret) {
			t.Errorf("got %q in a page, an address or the log, want it nowhere", secret)
		}
	}
}

// TestNewPasswordIsJudged says which rule a password breaks; the code is not
// asked for again.
func TestNewPasswordIsJudged(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		password, again string
		says            string
	}{
		"different":             {next, present, "La contraseña y su repetición no son iguales."},
		"short":                 {"Ab-1", "Ab-1", "demasiado corta"},
		"one class":             {"ventananueva", "ventananueva", "le falta una minúscula, una mayúscula"},
		"the name":              {"Nunez-2026-x", "Nunez-2026-x", "contiene su nombre o un apellido"},
		"the number":            {"Mi-12345678", "Mi-12345678", "contiene su DNI o NIE"},
		"control characters":    {"Ventana\x01nueva-8", "Ventana\x01nueva-8", "algún carácter que no se puede usar"},
		"the one there was":     {present, present, "Es la misma contraseña que tenía antes."},
		"nothing at all":        {"", "", "demasiado corta"},
		"one repeated elsewise": {next, next + " ", "no son iguales"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := choosing(t, rightCode)
			h.submit(form{"password_new": test.password, "password_again": test.again})
			h.says("/contrasena/nueva", http.StatusUnprocessableEntity, test.says)
			if h.far.password != present {
				t.Errorf("got password %q, want the old one", h.far.password)
			}
			h.submit(form{"password_new": next, "password_again": next})
			h.says("/contrasena/hecho", http.StatusOK)
		})
	}
}

func TestChangeAsksForTheCodeAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.open("/contrasena")
	h.submit(form{"identifier": identifier, "password_now": present})
	h.open("/contrasena/nueva") // not before the code
	h.says("/contrasena/codigo", http.StatusOK)
	h.submit(form{"code": wrongCode})
	h.says("/contrasena/codigo", http.StatusUnprocessableEntity, "¿Qué código le ha llegado al móvil?", "El código no coincide. Le quedan 2 intentos.")
	h.submit(form{"code": "1234"})
	h.says("/contrasena/codigo", http.StatusUnprocessableEntity, "ocho cifras")
	h.submit(form{"code": rightCode})
	h.says("/contrasena/nueva", http.StatusOK)
	h.open("/contrasena/codigo") // it is not asked for twice
	h.says("/contrasena/nueva", http.StatusOK)
	h.submit(form{"password_new": next, "password_again": next})
	h.says("/contrasena/hecho", http.StatusOK)
}

// TestChangeWithoutSMS goes on where the operator has failed.
func TestChangeWithoutSMS(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.far.sends = policies.Refuse(policies.SMSFailed)
	h.open("/contrasena")
	h.submit(form{"identifier": identifier, "password_now": present})
	h.says("/contrasena", http.StatusServiceUnavailable, "No hemos podido enviarle el SMS", "¿Le enviamos un código al móvil?")
	h.open("/contrasena/nueva")
	h.says("/contrasena/codigo", http.StatusOK, "¿Le enviamos un código al móvil?")
	if err := h.Press(t.Context(), "/contrasena/codigo/otro"); err != nil {
		t.Fatal(err)
	}
	h.says("/contrasena/codigo", http.StatusOK, "¿Qué código le ha llegado al móvil?")
	h.far.set(func() { h.far.sends = policies.Refuse(policies.CodeTooSoon).After(20 * time.Second) })
	if err := h.Press(t.Context(), "/contrasena/codigo/otro"); err != nil {
		t.Fatal(err)
	}
	h.says("/contrasena/codigo/otro", http.StatusTooManyRequests, "podrá pedir otro dentro de 20 segundos")
}

// TestChangeNeedsItsSession has neither a stranger, nor a form of another
// site's making, nor a session that another has replaced change anything.
func TestChangeNeedsItsSession(t *testing.T) {
	t.Parallel()
	stranger := newHouse(t)
	for _, path := range []string{"/contrasena/codigo", "/contrasena/nueva"} {
		stranger.open(path + "?firma=" + requestID)
		stranger.says(path, http.StatusForbidden, "Su sesión ha terminado", "Su contraseña sigue siendo la misma.")
	}
	if !strings.Contains(stranger.seen.String(), `href="/contrasena?firma=`+requestID+`"`) {
		t.Error("got no way to identify again for the same signature")
	}
	stranger.open("/contrasena/hecho")
	stranger.says("/contrasena", http.StatusOK)

	forger := choosing(t, rightCode)
	forger.submit(form{"guard": "0000", "password_new": next, "password_again": next})
	forger.says("/contrasena/nueva", http.StatusForbidden, "Su sesión ha terminado")

	replaced := choosing(t, rightCode)
	replaced.far.set(func() {
		for _, ticket := range replaced.far.tickets {
			ticket.Spent, ticket.SpentAt = true, time.Now()
		}
	})
	replaced.submit(form{"password_new": next, "password_again": next})
	replaced.says("/contrasena/nueva", http.StatusForbidden, "Su contraseña sigue siendo la misma.")
	replaced.open("/contrasena/hecho")
	replaced.says("/contrasena", http.StatusOK, "¿Quiere cambiar su contraseña?")
	for _, h := range []*house{forger, replaced} {
		if h.far.password != present {
			t.Error("got the password changed, want it as it was")
		}
	}
}

// TestWayBack leads to paths of this service whatever the address says.
func TestWayBack(t *testing.T) {
	t.Parallel()
	for _, hostile := range []string{"//evil.example", "https%3A%2F%2Fevil.example", "..%2F..%2F%2Fevil.example", "x%22%3E%3Cscript%3E"} {
		h := newHouse(t)
		for _, path := range []string{"/contrasena", "/contrasena/olvidada"} {
			h.open(path + "?firma=" + hostile)
			h.says(path, http.StatusOK, "Volver a la firma")
			for _, bad := range []string{`href="//`, `href="http`, `href="javascript`, `href=".`, "<script>"} {
				if strings.Contains(h.seen.String(), bad) {
					t.Errorf("%s with %s: got a page with %s", path, hostile, bad)
				}
			}
		}
	}
}

// TestIdentityRefusals reads at both doors what keeps a person out, and the
// way on from there.
func TestIdentityRefusals(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		refusal *policies.Refusal
		status  int
		says    string
		leads   string
	}{
		{policies.Refuse(policies.PasswordPaused).After(90 * time.Second), http.StatusTooManyRequests, "dentro de 1 minuto y 30 segundos", `data-countdown="90"`},
		{policies.Refuse(policies.PasswordLocked), http.StatusUnprocessableEntity, "Su contraseña está bloqueada", `href="/contrasena/olvidada?firma=` + requestID + `"`},
		{policies.Refuse(policies.PasswordExpired, "years", "2"), http.StatusUnprocessableEntity, "la eligió hace más de 2 años", ""},
		{policies.Refuse(policies.CitizenBlocked), http.StatusUnprocessableEntity, "La cuenta está bloqueada", ""},
		{policies.Refuse(policies.CitizenDeregistered), http.StatusUnprocessableEntity, "dada de baja", ""},
		{policies.Refuse(policies.RecordTampered), http.StatusUnprocessableEntity, "no hemos firmado nada", ""},
	} {
		t.Run(string(test.refusal.Code), func(t *testing.T) {
			t.Parallel()
			for path, password := range map[string]string{"/firma/" + requestID: "password", "/contrasena": "password_now"} {
				h := newHouse(t)
				h.open(path + "?firma=" + requestID)
				h.far.refusal = test.refusal
				h.submit(form{"identifier": identifier, password: present})
				h.says(path, test.status, test.says)
				if !strings.Contains(h.seen.String(), `value="`+identifier+`"`) {
					t.Errorf("%s: want what was typed kept", path)
				}
				if !strings.Contains(h.seen.String(), test.leads) {
					t.Errorf("%s: got no %s", path, test.leads)
				}
			}
		})
	}
	t.Run("an old password is changed first", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t)
		h.far.refusal = policies.Refuse(policies.PasswordExpired)
		h.open("/firma/" + requestID)
		h.submit(form{"identifier": identifier, "password": present})
		h.says("/firma/"+requestID, http.StatusUnprocessableEntity, "Cuando la haya cambiado volverá aquí")
		if want := `<a class="button" href="/contrasena?firma=` + requestID + `">Cambiar mi contraseña</a>`; !strings.Contains(h.seen.String(), want) {
			t.Errorf("got no %s", want)
		}
	})
}
