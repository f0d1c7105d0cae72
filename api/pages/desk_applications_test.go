package pages_test

import (
	"context"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/api/desk"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
	"github.com/rubrica-firma/rubrica/signer"
	"github.com/rubrica-firma/rubrica/signer/cades"
)

func (k *counter) Applications(_ context.Context, a desk.Asking) ([]signer.RegisteredClient, error) {
	k.asked = append(k.asked, a)
	return []signer.RegisteredClient{k.application}, nil
}

func (k *counter) Application(_ context.Context, a desk.Asking, id string) (signer.RegisteredClient, error) {
	k.asked = append(k.asked, a)
	if id != k.application.ID {
		return signer.RegisteredClient{}, policies.Refuse(policies.ApplicationUnknown)
	}
	return k.application, nil
}

func (k *counter) ChangeApplication(_ context.Context, a desk.Asking, c citizen.ApplicationChange) error {
	if k.refuses != nil {
		return k.refuses
	}
	k.asked, k.changes = append(k.asked, a), append(k.changes, c)
	return nil
}

const deskClientSecret = "once-and-never-again"

func (k *counter) GiveSecret(ctx context.Context, a desk.Asking, c citizen.ApplicationChange) (citizen.Secret, error) {
	c.SecretSHA256 = "drawn"
	return citizen.NewSecret(deskClientSecret), k.ChangeApplication(ctx, a, c)
}

// TestDeskApplications administers an application: each change by a form that
// says what it does, with a reason, and only by a supervisor.
func TestDeskApplications(t *testing.T) {
	t.Parallel()
	h := newDeskHouse(t)
	now := time.Now()
	h.counter.application = signer.RegisteredClient{
		ID: "sede", Name: "Sede <b>", Organisation: "Gijón", Scopes: []string{"signature"}, Contact: "sede@example.es",
		ReturnAddresses: []string{"https://sede.example.es/vuelta?a=1&b=2"}, Switches: []string{signer.SwitchNoPAR},
		Doors: []string{signer.DoorREST}, Levels: []cades.Level{cades.BT}, Calls: 7,
		Keys: []signer.ClientKey{
			{ID: "old", NotBefore: now.AddDate(-2, 0, 0), NotAfter: now.AddDate(0, 0, 3), AddedAt: now.AddDate(-2, 0, 0)},
			{ID: "new", NotBefore: now.AddDate(0, 0, 1), NotAfter: now.AddDate(2, 0, 0), AddedAt: now},
		},
		Certificates: []signer.ClientCertificate{{SHA256: []byte{0xab, 0xcd}, NotBefore: now.AddDate(-2, 0, 0), NotAfter: now.AddDate(-1, 0, 0), AddedAt: now}},
		Webhooks:     []signer.Webhook{{ID: "w1", URL: "https://sede.example.es/avisos"}},
		Enabled:      true, CreatedAt: now.AddDate(-2, 0, 0),
	}
	h.want(h.get("/mesa/aplicaciones"), 200, "", "Sede &lt;b&gt;", "/mesa/aplicaciones/sede", "Puede entrar", `accesskey="8"`)
	h.want(h.get("/mesa/aplicaciones/sede"), 200, "", "sede@example.es", "Termina pronto", "Aún no vale", "Ya no vale", "abcd", "REST", "B-T (con sello de tiempo)",
		"https://sede.example.es/vuelta?a=1&b=2", "/mesa/aplicaciones/sede/quitar-clave?de=old", "/mesa/aplicaciones/sede/desactivar", "/mesa/aplicaciones/sede/exigir?de=no-par", "/mesa/aplicaciones/sede/relajar?de=secret")
	for _, path := range []string{"/nadie", "/nadie/contacto", "/sede/otra-cosa", "/sede/quitar-clave", "/sede/quitar-clave?de=nokey", "/sede/quitar-direccion?de=https%3A%2F%2Fx%2F", "/sede/relajar?de=no-par", "/sede/exigir?de=secret", "/sede/fin-clave?de=abcd", "/sede/fin-certificado?de=old", "/sede/quitar-avisos?de=w2"} {
		if a := h.get("/mesa/aplicaciones" + path); a.status != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", path, a.status)
		}
	}
	for slug, sentences := range map[string][]string{
		"contacto":                   {`value="sede@example.es"`, deskReason},
		"permisos":                   {`value="signature" autocomplete="off" checked`},
		"limites":                    {`name="puertas" type="checkbox" value="rest" autocomplete="off" checked`, `value="7"`},
		"clave":                      {"<textarea", `type="date"`},
		"quitar-clave?de=old":        {"old", "nadie podrá entrar con esta clave"},
		"relajar?de=secret":          {"Entrar con un secreto", "menos protegidas"},
		"desactivar":                 {"se rechazan todas sus llamadas", "Desactivar ahora"},
		"quitar-certificado?de=abcd": {"abcd"},
		"fin-clave?de=new":           {"new", `value="` + now.AddDate(2, 0, 0).UTC().Format(time.DateOnly) + `"`},
		"quitar-avisos?de=w1":        {"https://sede.example.es/avisos"},
		"secreto":                    {"deja de valer en este momento"},
	} {
		h.want(h.get("/mesa/aplicaciones/sede/"+slug), 200, "", sentences...)
	}

	const at = "/mesa/aplicaciones/sede/"
	h.want(h.post(at+"desactivar", map[string]string{"motivo": "no"}), 422, "", "Falta el motivo")
	h.want(h.post(at+"clave", map[string]string{"clave": "x", "desde": "2027-01-02", "hasta": "2027-01-01", "motivo": deskReason}), 422, "", "Revise las fechas", ">x</textarea>")
	h.want(h.post(at+"fin-clave?de=old", map[string]string{"hasta": "mañana", "motivo": deskReason}), 422, "", "Revise las fechas")
	h.want(h.post(at+"limites", map[string]string{"llamadas": "-1", "motivo": deskReason}), 422, "", "No es un número de llamadas")
	if len(h.counter.changes) > 0 {
		t.Fatalf("got %v changed, want nothing", h.counter.changes)
	}
	for _, do := range []struct {
		slug   string
		fields map[string]string
		want   citizen.ApplicationChange
	}{
		{"contacto", map[string]string{"contacto": " 985 000 000 "}, citizen.ApplicationChange{What: citizen.ApplicationContact, Value: "985 000 000"}},
		{"limites", map[string]string{"puertas": "csc-v2", "formatos": "hash", "niveles": "B-LT", "llamadas": "30"}, citizen.ApplicationChange{What: citizen.ApplicationLimits, Doors: []string{"csc-v2"}, Formats: []string{"hash"}, Levels: []string{"B-LT"}, Calls: 30}},
		{"permisos", map[string]string{"permisos": "credential"}, citizen.ApplicationChange{What: citizen.ApplicationScopes, Scopes: []string{"credential"}}},
		{"direccion", map[string]string{"direccion": "https://sede.example.es/otra"}, citizen.ApplicationChange{What: citizen.RedirectAdded, Value: "https://sede.example.es/otra"}},
		{"quitar-direccion?de=https%3A%2F%2Fsede.example.es%2Fvuelta%3Fa%3D1%26b%3D2", nil, citizen.ApplicationChange{What: citizen.RedirectRemoved, Value: "https://sede.example.es/vuelta?a=1&b=2"}},
		{"clave", map[string]string{"clave": "-----BEGIN", "desde": "2027-01-01", "hasta": "2028-01-01"}, citizen.ApplicationChange{What: citizen.KeyAdded, Value: "-----BEGIN", From: "2027-01-01", Until: "2028-01-01"}},
		{"quitar-clave?de=old", nil, citizen.ApplicationChange{What: citizen.KeyRemoved, Value: "old"}},
		{"fin-clave?de=old", map[string]string{"hasta": "2027-01-31"}, citizen.ApplicationChange{What: citizen.KeyUntil, Value: "old", Until: "2027-01-31"}},
		{"fin-certificado?de=abcd", map[string]string{"hasta": "2027-01-31"}, citizen.ApplicationChange{What: citizen.CertificateUntil, Value: "abcd", Until: "2027-01-31"}},
		{"avisos", map[string]string{"avisos": " https://sede.example.es/otros "}, citizen.ApplicationChange{What: citizen.WebhookAdded, Value: "https://sede.example.es/otros"}},
		{"quitar-avisos?de=w1", nil, citizen.ApplicationChange{What: citizen.WebhookRemoved, Value: "w1"}},
		{"certificado", map[string]string{"certificado": "-----BEGIN"}, citizen.ApplicationChange{What: citizen.CertificateAdded, Value: "-----BEGIN"}},
		{"quitar-certificado?de=abcd", nil, citizen.ApplicationChange{What: citizen.CertificateRemoved, Value: "abcd"}},
		{"relajar?de=csc-v1", nil, citizen.ApplicationChange{What: citizen.ApplicationSwitchedOn, Value: "csc-v1"}},
		{"exigir?de=no-par", nil, citizen.ApplicationChange{What: citizen.ApplicationSwitchedOff, Value: "no-par"}},
		{"desactivar", nil, citizen.ApplicationChange{What: citizen.ApplicationDisabled}},
		{"activar", nil, citizen.ApplicationChange{What: citizen.ApplicationEnabled}},
	} {
		fields := map[string]string{"motivo": "Incidencia 2026/77"}
		maps.Copy(fields, do.fields)
		h.counter.changes = nil
		a := h.post(at+do.slug, fields)
		if a.status != http.StatusSeeOther {
			t.Fatalf("%s: got %d: %s", do.slug, a.status, told(a.body))
		}
		do.want.Application = "sede"
		if diff := cmp.Diff([]citizen.ApplicationChange{do.want}, h.counter.changes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", do.slug, diff)
		}
		if got := h.counter.asked[len(h.counter.asked)-1].Reason; got != "Incidencia 2026/77" {
			t.Errorf("%s: got reason %q", do.slug, got)
		}
		h.want(h.get(a.location), 200, "", `role="status"`)
	}
	h.counter.changes = nil
	h.wantSecret(h.post(at+"secreto", map[string]string{"motivo": deskReason}), "sede")
	if diff := cmp.Diff([]citizen.ApplicationChange{{Application: "sede", What: citizen.SecretReplaced, SecretSHA256: "drawn"}}, h.counter.changes); diff != "" {
		t.Errorf("another secret (-want +got):\n%s", diff)
	}
	h.counter.changes = nil
	h.want(h.post(at+"secreto", map[string]string{"anterior": "mañana", "motivo": deskReason}), 422, "", "Revise el final del secreto anterior", `id="anterior-problem"`)
	h.wantSecret(h.post(at+"secreto", map[string]string{"anterior": "2027-01-31", "motivo": deskReason}), "sede")
	if diff := cmp.Diff([]citizen.ApplicationChange{{Application: "sede", What: citizen.SecretReplaced, SecretSHA256: "drawn", Until: "2027-01-31"}}, h.counter.changes); diff != "" {
		t.Errorf("another secret beside the former (-want +got):\n%s", diff)
	}
	h.counter.changes = nil
	for slug, form := range map[string]map[string]string{
		"clave":       {"clave": "-----BEGIN PRIVATE KEY-----\r\nc2VjcmV0", "desde": "2027-01-01", "hasta": "2028-01-01", "motivo": deskReason},
		"certificado": {"certificado": "-----BEGIN CERTIFICATE-----\r\nMII=\r\n-----BEGIN PRIVATE KEY-----\r\nc2VjcmV0", "motivo": deskReason},
	} {
		answer := h.post(at+slug, form)
		h.want(answer, 422, "", "Es una clave privada", `id="`+slug+`-problem"`)
		if strings.Contains(answer.body, "c2VjcmV0") || len(h.counter.changes) > 0 {
			t.Errorf("%s: got %v and a page that may show the private key, want it thrown away", slug, h.counter.changes)
		}
	}
	h.counter.refuses = policies.Refuse(policies.QueryInvalid, "reason", "client_key")
	h.want(h.post(at+"clave", map[string]string{"clave": "PUBLIC", "desde": "2027-01-01", "hasta": "2028-01-01", "motivo": deskReason}), 422, "", "Eso no es una clave pública", `id="clave-problem"`)
	h.counter.refuses = policies.Refuse(policies.QueryInvalid, "reason", "scopes")
	h.want(h.post(at+"permisos", map[string]string{"motivo": deskReason}), 422, "", "No ha marcado nada", `id="permisos-problem"`)
	h.counter.refuses = nil
	h.counter.application.Scopes = []string{"registration"}
	h.want(h.get("/mesa/aplicaciones/sede"), 200, "", "Registrar personas")
	for _, a := range []deskAnswer{h.get(at + "permisos"), h.post(at+"permisos", map[string]string{"permisos": "signature", "motivo": deskReason})} {
		if a.status != http.StatusNotFound {
			t.Errorf("an office that would be something else: got %d, want 404", a.status)
		}
	}
	h.officers.visit.Account.Role = desk.RoleOfficer
	for _, path := range []string{"", "/nueva", "/sede", "/sede/desactivar"} {
		if a := h.get("/mesa/aplicaciones" + path); a.status != http.StatusForbidden {
			t.Errorf("%q for an officer: got %d, want 403", path, a.status)
		}
	}
}

// wantSecret wants a secret shown on the answer itself, which nobody keeps.
func (h *deskHouse) wantSecret(a deskAnswer, client string) {
	h.Helper()
	h.want(a, 200, "", deskClientSecret, client, "No se guarda en ninguna parte", "/mesa/aplicaciones/"+client)
	if a.header.Get("Cache-Control") != "no-store" || a.location != "" {
		h.Errorf("got Cache-Control %q, Location %q, want a page that is nowhere else", a.header.Get("Cache-Control"), a.location)
	}
}

var clientField = regexp.MustCompile(`name="cliente" value="([a-z2-7]{26})"`)

// TestDeskNewApplication registers applications: by a key or certificate, or with
// a secret that is shown once; what was typed stays where something is wrong.
func TestDeskNewApplication(t *testing.T) {
	t.Parallel()
	h := newDeskHouse(t)
	h.want(h.get("/mesa/aplicaciones"), 200, "", `href="/mesa/aplicaciones/nueva"`)
	first := h.get("/mesa/aplicaciones/nueva")
	h.want(first, 200, "", "Nombre de la aplicación", `id="permisos-signature" name="permisos" type="checkbox" value="signature" autocomplete="off" checked`, deskReason)
	if strings.Contains(first.body, `value="registration"`) {
		t.Error("got the scope of offices offered")
	}
	client := clientField.FindStringSubmatch(first.body)[1]
	if again := clientField.FindStringSubmatch(h.get("/mesa/aplicaciones/nueva").body)[1]; again == client {
		t.Error("got the same client id for two forms")
	}
	form := func(change map[string]string) map[string]string {
		fields := map[string]string{
			"cliente": client, "aplicacion": "  Padrón de  habitantes ", "organismo": "Gijón", "contacto": "padron@example.es", "permisos": "service",
			"direcciones": "https://padron.example.es/v\r\n\r\nhttps://padron.example.es/w", "prueba": "key", "credencial": " -----BEGIN PUBLIC KEY-----\r\nMFk \r\n", "motivo": "Expediente 12",
		}
		maps.Copy(fields, change)
		return fields
	}
	const path = "/mesa/aplicaciones/nueva"
	for field, wrong := range map[string]map[string]string{
		"prueba":     {"prueba": "word"},
		"credencial": {"credencial": " "},
		"motivo":     {"motivo": "no"},
	} {
		h.want(h.post(path, form(wrong)), 422, "", `id="`+field+`-problem"`, `value="`+client+`"`, `value="Padrón de habitantes"`, "https://padron.example.es/w</textarea>", `value="service" autocomplete="off" checked`)
	}
	h.want(h.post(path, form(map[string]string{"prueba": "secret"})), 422, "", `id="prueba-problem"`, "-----BEGIN PUBLIC KEY-----")
	for _, pasted := range []string{"-----BEGIN EC PRIVATE KEY-----\r\nc2VjcmV0", `{"kty":"EC", "d" : "c2VjcmV0"}`} {
		for proof, answer := range map[string]deskAnswer{
			"a key's":    h.post(path, form(map[string]string{"credencial": pasted})),
			"a secret's": h.post(path, form(map[string]string{"credencial": pasted, "prueba": "secret"})),
		} {
			h.want(answer, 422, "", "Es una clave privada")
			if strings.Contains(answer.body, "c2VjcmV0") {
				t.Errorf("got a private key shown again in %s place", proof)
			}
		}
	}
	if len(h.counter.changes) > 0 {
		t.Fatalf("got %v registered, want nothing", h.counter.changes)
	}
	for reason, field := range map[string]string{
		"application_name": "aplicacion", "application_organisation": "organismo", "contact": "contacto", "scopes": "permisos", "return_address": "direcciones",
		"client_key": "credencial", "client_certificate": "credencial", "key_known": "credencial", "application_long": "credencial",
	} {
		h.counter.refuses = policies.Refuse(policies.QueryInvalid, "reason", reason)
		h.want(h.post(path, form(nil)), 422, "", `id="`+field+`-problem"`, `href="#`+field+`"`)
	}
	h.counter.refuses = policies.Refuse(policies.QueryInvalid, "reason", "application_known")
	h.want(h.post(path, form(nil)), 422, "", "Ya está dada de alta")
	h.counter.refuses = nil

	registered := citizen.NewApplication{
		Name: "Padrón de habitantes", Organisation: "Gijón", Scopes: []string{"service"}, Contact: "padron@example.es",
		ReturnAddresses: []string{"https://padron.example.es/v", "https://padron.example.es/w"},
	}
	byKey, byCertificate := registered, registered
	byKey.Keys, byCertificate.Certificate = "-----BEGIN PUBLIC KEY-----\r\nMFk", "-----BEGIN CERTIFICATE-----"
	a := h.post(path, form(nil))
	if a.status != http.StatusSeeOther || a.location != "/mesa/aplicaciones/"+client+"?hecho=nueva" {
		t.Errorf("by a key: got %d to %q, want its page", a.status, a.location)
	}
	h.counter.application = signer.RegisteredClient{ID: client, Name: "Padrón", Organisation: "Gijón", Enabled: true}
	h.want(h.get(a.location), 200, "", "La aplicación está dada de alta", client)
	if a := h.post(path, form(map[string]string{"prueba": "certificate", "credencial": byCertificate.Certificate})); a.status != http.StatusSeeOther {
		t.Errorf("by a certificate: got %d", a.status)
	}
	h.wantSecret(h.post(path, form(map[string]string{"prueba": "secret", "credencial": ""})), client)
	if diff := cmp.Diff([]citizen.ApplicationChange{
		{Application: client, What: citizen.ApplicationAdded, New: &byKey},
		{Application: client, What: citizen.ApplicationAdded, New: &byCertificate},
		{Application: client, What: citizen.ApplicationAdded, New: &registered, SecretSHA256: "drawn"},
	}, h.counter.changes); diff != "" {
		t.Errorf("registered (-want +got):\n%s", diff)
	}
	for _, asked := range h.counter.asked[len(h.counter.asked)-1:] {
		if asked.Reason != "Expediente 12" {
			t.Errorf("got reason %q, want the form's", asked.Reason)
		}
	}
}
