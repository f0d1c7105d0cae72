package e2e

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/rubrica-firma/rubrica/internal/thread"
)

// affair takes a citizen to a page below /certificado, chooses there what is to be
// chosen, confirms it with the code that comes, and reads what was done.
func affair(t *testing.T, c *thread.Citizen, page, choose string) string {
	t.Helper()
	v := &visit{tab: newTab(t), citizen: c}
	v.open("/certificado")
	v.submit(form{"identifier": c.Identifier, "password": c.Password})
	v.at("/certificado/estado", "")
	v.press(`main a[href="/certificado/` + page + `"]`)
	v.at("/certificado/"+page, "")
	if choose != "" {
		v.do(chromedp.Click(chromedp.CSS(choose)))
	}
	v.send(`form[action="/certificado/` + page + `"] button`)
	v.at("/certificado/"+page+"/codigo", "")
	v.code()
	v.at("/certificado/hecho", "")
	done := v.text("main")
	// Back, reload and a second post change nothing: it is done.
	v.open("/certificado/" + page)
	v.at("/certificado/hecho", "")
	return done
}

// ownCertificate has a citizen suspend, release and revoke the own certificate on
// the pages; the world is told by OCSP, the citizen by SMS and mail.
func ownCertificate(t *testing.T) {
	t.Helper()
	c := active(t)
	r := handed(t, c)

	if got := affair(t, c, "suspender", ""); !strings.Contains(got, "suspend") {
		t.Errorf("done: %s", got)
	}
	r.becomes("suspended", "revoked certificateHold", func() string { return r.status() })
	request := ask(t, c, note())
	b := identified(t, c, request)
	if text := b.Text(); !strings.Contains(text, "suspendido") {
		t.Errorf("signing with a suspended certificate: %s", text)
	}

	if got := affair(t, c, "levantar", ""); !strings.Contains(got, "vigor") && !strings.Contains(got, "levant") {
		t.Errorf("done: %s", got)
	}
	r.becomes("released", "good", func() string { return r.status() })
	sign(t, c, request)
	wantState(t, request.ID, "signed")

	if got := affair(t, c, "revocar", `input[name=motivo][value=clave] + label`); !strings.Contains(got, "revoc") {
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
