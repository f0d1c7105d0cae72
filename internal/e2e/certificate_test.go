package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/rubrica-firma/rubrica/internal/thread"
)

// affair takes a citizen to a page below /certificado, confirms what it offers
// with the code that comes, and reads what was done.
func affair(t *testing.T, c *thread.Citizen, page string, fields form) string {
	t.Helper()
	b := plainBrowser(t)
	open(t, b, shared.world.Service+"/certificado")
	submit(t, b, form{"identifier": c.Identifier, "password": c.Password})
	at(t, b, "/certificado/estado")
	open(t, b, shared.world.Service+"/certificado/"+page)
	since := time.Now()
	if fields == nil {
		press(t, b, "/certificado/"+page)
	} else {
		submit(t, b, fields)
	}
	at(t, b, "/certificado/"+page+"/codigo")
	submit(t, b, form{"code": code(t, c, since)})
	at(t, b, "/certificado/hecho")
	done := b.Text()
	// Back, reload and a second post change nothing: it is done.
	open(t, b, shared.world.Service+"/certificado/"+page)
	at(t, b, "/certificado/hecho")
	return done
}

// A citizen suspends, releases and revokes the own certificate on the pages,
// without JavaScript; the world is told by OCSP, the citizen by SMS and mail.
func TestOwnCertificate(t *testing.T) {
	t.Parallel()
	c := active(t)
	r := handed(t, c)

	if got := affair(t, c, "suspender", nil); !strings.Contains(got, "suspend") {
		t.Errorf("done: %s", got)
	}
	r.becomes("suspended", "revoked certificateHold", func() string { return r.status() })
	request := ask(t, c, note())
	b := identified(t, c, request)
	if text := b.Text(); !strings.Contains(text, "suspendido") {
		t.Errorf("signing with a suspended certificate: %s", text)
	}

	if got := affair(t, c, "levantar", nil); !strings.Contains(got, "vigor") && !strings.Contains(got, "levant") {
		t.Errorf("done: %s", got)
	}
	r.becomes("released", "good", func() string { return r.status() })
	sign(t, c, request)
	wantState(t, request.ID, "signed")

	if got := affair(t, c, "revocar", form{"motivo": "clave"}); !strings.Contains(got, "revoc") {
		t.Errorf("done: %s", got)
	}
	r.becomes("revoked", "revoked keyCompromise", func() string { return r.status() })
	open(t, b, shared.world.Service+"/certificado")
	submit(t, b, form{"identifier": c.Identifier, "password": c.Password})
	at(t, b, "/certificado") // the password went with the key
	told := messages(t, c)
	for _, word := range []string{"revocar", "suspender", "volver a activar"} {
		found := false
		for _, m := range told {
			found = found || strings.Contains(m.Text, word)
		}
		if !found {
			t.Errorf("no SMS says %q", word)
		}
	}
}
