package desk_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/api/desk"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/citizen"
	"github.com/rubrica-firma/rubrica/policies"
)

func TestSearch(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.person(t, "ana", "12345678Z", "Ana", "Núñez Pérez", "+34600000421")
	h.person(t, "blai", "X1234567L", "Blai", "Muñoz i Çelik", "+34600000422")
	h.person(t, "cien", "00000014Z", "Ana María", "Cien por ciento", "+34600000423")
	for _, test := range []struct {
		text, logged string
		want         []string
	}{
		{"12345678z", `"question":"identifier"`, []string{"ana"}},
		{" x-1234567-L ", `"question":"identifier"`, []string{"blai"}},
		{"600 00 04 22", `"phone":"··· ··· 422"`, []string{"blai"}},
		{"+34600000421", `"question":"phone"`, []string{"ana"}},
		{"nunez perez", `"text":"nunez perez"`, []string{"ana"}},
		{"NÚÑEZ", `"text":"NÚÑEZ"`, []string{"ana"}},
		{"ana", `"results":2`, []string{"cien", "ana"}},
		{"ana  maría", `"text":"ana maría"`, []string{"cien"}},
		{"munoz i c", `"question":"name"`, []string{"blai"}},
		{"%%%", `"results":0`, nil}, // no pattern
		{"___", `"results":0`, nil},
		{"00000000T", `"question":"identifier"`, nil},
	} {
		found, err := h.Search(t.Context(), asks(luis()), test.text)
		if err != nil {
			t.Errorf("searching %q: %v", test.text, err)
			continue
		}
		var got []string
		for _, m := range found.Matches {
			got = append(got, m.ID)
		}
		if diff := cmp.Diff(test.want, got); diff != "" || found.More {
			t.Errorf("searching %q (-want +got):\n%s", test.text, diff)
		}
		persons, payloads := h.logged(t, audit.DeskLookedUp)
		last := len(payloads) - 1
		if last < 0 || !strings.Contains(payloads[last], test.logged) || !strings.Contains(payloads[last], reason) {
			t.Fatalf("searching %q: got %v in the log, want %s and the reason in the last", test.text, payloads, test.logged)
		}
		if (persons[last] != "") != strings.Contains(test.logged, "identifier") {
			t.Errorf("searching %q: got it logged about %q", test.text, persons[last])
		}
	}
}

func TestNothingIsAnsweredThatIsNotRecorded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.person(t, "ana", "12345678Z", "Ana", "Núñez Pérez", "+34600000421")
	h.deaf = errors.New("the log is away")
	if found, err := h.Search(t.Context(), asks(luis()), "12345678Z"); !errors.Is(err, h.deaf) {
		t.Errorf("searching: got %v, %v, want the log's error", found, err)
	}
	if file, err := h.File(t.Context(), asks(luis()), "ana"); !errors.Is(err, h.deaf) || file.Phone != "" {
		t.Errorf("opening a file: got %v, %v, want the log's error and nothing else", file.Phone, err)
	}
	if _, err := h.Do(t.Context(), asks(luis()), desk.Act{Kind: citizen.ActBlock, Identifier: "12345678Z"}); !errors.Is(err, h.deaf) || len(h.performed) > 0 {
		t.Errorf("an act: got %v and %v, want the log's error and nothing done", err, h.performed)
	}
}

func TestWhoMayAsk(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	manager := rosa()
	manager.Role = desk.RoleAdministrator
	for name, test := range map[string]struct {
		asking desk.Asking
		want   policies.Code
	}{
		"no reason":        {desk.Asking{Officer: luis()}, policies.ReasonMissing},
		"a short reason":   {desk.Asking{Officer: luis(), Reason: " ver "}, policies.ReasonMissing},
		"a long reason":    {desk.Asking{Officer: luis(), Reason: strings.Repeat("a", 201)}, policies.ReasonMissing},
		"an empty letter":  {desk.Asking{Officer: luis(), Reason: "cita \u3164\u3164"}, policies.ReasonMissing},
		"a turned reason":  {desk.Asking{Officer: luis(), Reason: "cita \u202e4410"}, policies.ReasonMissing},
		"an administrator": {asks(manager), policies.RoleMissing},
		"nobody":           {desk.Asking{Reason: reason}, policies.RoleMissing},
	} {
		_, err := h.Search(t.Context(), test.asking, "12345678Z")
		if !errors.Is(err, policies.Refuse(test.want)) {
			t.Errorf("%s, searching: got %v, want %s", name, err, test.want)
		}
		_, err = h.Do(t.Context(), test.asking, desk.Act{Kind: citizen.ActBlock, Identifier: "12345678Z"})
		if !errors.Is(err, policies.Refuse(test.want)) {
			t.Errorf("%s, acting: got %v, want %s", name, err, test.want)
		}
	}
	if len(h.performed) > 0 {
		t.Errorf("got %v carried out, want nothing", h.performed)
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.person(t, "ana", "12345678Z", "Ana", "Núñez Pérez", "+34600000421")
	h.sql(t, `INSERT INTO incidents (id, citizen_id, said, opened_at) VALUES ('1', 'ana', 'No fui yo.', now())`)
	_, err := h.File(t.Context(), asks(luis()), "nobody")
	wantRefusal(t, err, policies.CitizenUnknown)
	_, err = h.File(t.Context(), asks(luis()), "ana")
	must(t, err)
	file, err := h.File(t.Context(), asks(rosa()), "ana")
	must(t, err)
	if file.GivenName != "Ana" || file.Phone != "+34600000421" || len(file.Proofs) != 2 || file.Registration.Mode != "office" || len(file.Incidents) != 1 {
		t.Errorf("got %+v, want Ana's file with two proofs, the newest in force, and an incident", file.File)
	}
	if len(file.Report.Certify) == 0 || !errors.Is(file.Report.Certify[0], policies.Refuse(policies.RegistrationTooOld)) {
		t.Errorf("got %v, want that the registration is too old", file.Report.Certify)
	}
	// Whoever has looked before is told, by name and with the reason.
	if len(file.Past) != 1 || file.Past[0].Type != audit.DeskLookedUp || !strings.Contains(string(file.Past[0].Payload), "Luis Vega") {
		t.Errorf("got %v, want Luis's look", file.Past)
	}
}

func TestActs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	person := desk.Person{Identifier: "12345678Z", GivenName: "Ana", Surnames: "Núñez", Phone: "600000421", Email: "ana@example.es", DocumentUntil: "2031-05-31", Locale: "ca"}
	for _, test := range []struct {
		act   desk.Act
		check func(citizen.Statement) bool
	}{
		{desk.Act{Kind: citizen.ActRegister, Person: &person, Document: desk.Passport, Passport: "ABC123456"}, func(s citizen.Statement) bool {
			a := s.Application
			return a.Name.Given() == "Ana" && a.Phone.String() == "+34600000421" && a.Locale == "ca" && a.Evidence["document"] == "passport" && a.Evidence["document_number"] == "ABC123456"
		}},
		{desk.Act{Kind: citizen.ActRenewRegistration, Identifier: "12345678Z", DocumentUntil: "2032-01-31", Document: desk.DNI}, func(s citizen.Statement) bool {
			return s.Renewal.DocumentUntil.Format(time.DateOnly) == "2032-01-31" && s.Renewal.Evidence["document"] == "dni"
		}},
		{desk.Act{Kind: citizen.ActRenewActivation, Identifier: "12345678Z"}, func(citizen.Statement) bool { return true }},
		{desk.Act{Kind: citizen.ActChangePhone, Identifier: "12345678Z", Phone: "+34612345678"}, func(s citizen.Statement) bool {
			return s.Phone.String() == "+34612345678" && !s.WithoutDocument && s.Reason == reason
		}},
		{desk.Act{Kind: citizen.ActChangeEmail, Identifier: "12345678Z", Email: "otra@example.es"}, func(s citizen.Statement) bool { return s.Email.String() == "otra@example.es" }},
		{desk.Act{Kind: citizen.ActBlock, Identifier: "12345678Z"}, func(s citizen.Statement) bool { return s.Reason == reason }},
		{desk.Act{Kind: citizen.ActUnblock, Identifier: "12345678Z"}, func(s citizen.Statement) bool { return s.Reason == reason }},
		{desk.Act{Kind: citizen.ActSuspend, Identifier: "12345678Z"}, func(s citizen.Statement) bool { return s.Reason == reason }},
		{desk.Act{Kind: citizen.ActRelease, Identifier: "12345678Z"}, func(s citizen.Statement) bool { return s.Reason == reason }},
		{desk.Act{Kind: citizen.ActRevoke, Identifier: "12345678Z", CRLWord: "key_compromise"}, func(s citizen.Statement) bool { return s.CRLReason == citizen.KeyCompromise }},
		{desk.Act{Kind: citizen.ActDeregister, Identifier: "12345678Z"}, func(s citizen.Statement) bool { return s.Reason == reason }},
		{desk.Act{Kind: citizen.ActReportDeath, Identifier: "12345678Z", Certified: "Certificado 77"}, func(s citizen.Statement) bool {
			return s.Reason == reason && s.Evidence["document"] == "Certificado 77"
		}},
		{desk.Act{Kind: citizen.ActCloseIncident, Identifier: "12345678Z", Subject: "inc-1", Outcome: "Era suya."}, func(s citizen.Statement) bool { return s.Subject == "inc-1" && s.Reason == "Era suya." }},
	} {
		before := len(h.performed)
		_, err := h.Do(t.Context(), asks(luis()), test.act)
		if err != nil || len(h.performed) != before+1 {
			t.Errorf("%s: got %v and %d carried out, want one more", test.act.Kind, err, len(h.performed)-before)
			continue
		}
		s := h.performed[before]
		if s.Kind != test.act.Kind || s.Identifier.String() != "12345678Z" || s.Officer != "Luis Vega (luis)" || s.Second != "" || !test.check(s) {
			t.Errorf("%s: got %+v", test.act.Kind, s)
		}
		persons, payloads := h.logged(t, audit.DeskActed)
		last := payloads[len(payloads)-1]
		if persons[len(persons)-1] != "12345678Z" || !strings.Contains(last, s.ID) || !strings.Contains(last, reason) || !strings.Contains(last, string(s.Kind)) {
			t.Errorf("%s: got %s in the log, want the statement and the reason", test.act.Kind, last)
		}
	}
	stranger := luis()
	stranger.Office = "nowhere"
	_, err := h.Do(t.Context(), asks(stranger), desk.Act{Kind: citizen.ActBlock, Identifier: "12345678Z"})
	wantRefusal(t, err, policies.OfficeActInvalid)
}

func TestParseList(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		want []string
		code policies.Code
	}{
		{"12345678Z\nX1234567L", []string{"12345678Z", "X1234567L"}, ""},
		{" 12345678z, 12345678-Z;X1234567L \r\n", []string{"12345678Z", "X1234567L"}, ""},
		{"", nil, policies.QueryInvalid},
		{" , ;\n", nil, policies.QueryInvalid},
		{"12345678Z 12345678A", nil, policies.QueryInvalid},
		{"12345678Z X1234567L 00000014Z 00000000T", nil, policies.QueryInvalid}, // one too many
	} {
		got, err := desk.ParseList(test.text, 3)
		if diff := cmp.Diff(test.want, got); diff != "" || (err != nil) != (test.code != "") {
			t.Errorf("%q: got %v (-want +got):\n%s", test.text, err, diff)
		}
		if test.code != "" {
			wantRefusal(t, err, test.code)
		}
	}
}
