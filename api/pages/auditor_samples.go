package pages

import (
	"encoding/json"
	"time"

	"github.com/rubrica-firma/rubrica/api/auditing"
	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/policies"
)

// auditor invents the auditor's pages.
func (s *sampler) auditor() {
	s.auditLogin()
	s.auditSearch()
	s.auditEntries()
	s.auditTotals()
	s.auditHealth()
	s.auditExport()
	s.auditPeople()
}

func sampleDesk(here string) *Desk {
	return newDesk(Desk{Name: "Carmen Ruiz Soto", Role: auditing.RoleAuditor, By: "certificate", Purpose: "Expediente 2026/114, reclamación de una firma"}, here)
}

func sampleManager() *Desk {
	return newDesk(Desk{Name: "Luis Vega Mora", Role: auditing.RoleAdministrator, By: "passkey"}, "people")
}

func invalid(field, reason string) Problem {
	return Problem{field, policies.Refuse(policies.QueryInvalid, "field", field, "reason", reason)}
}

func (s *sampler) auditLogin() {
	s.add("con-certificado", &AuditLogin{Desk: &Desk{}, Certificate: true, CertificateURL: "#main"})
	s.add("sin-certificado", &AuditLogin{Desk: &Desk{}, CertificateURL: "#main"})
	s.add("acabada", &AuditLogin{Desk: &Desk{}, Certificate: true, CertificateURL: "#main", Ended: true})
	s.add("rechazada", &AuditLogin{
		Desk: &Desk{}, Certificate: true, CertificateURL: "#main", Problems: []Problem{{"", policies.Refuse(policies.AuditorRefused)}},
	})
	s.add("nuevo", &AuditPurpose{Desk: newDesk(Desk{Name: "Carmen Ruiz Soto", Role: auditing.RoleAuditor}, ""), SubmitURL: "#main"})
	s.add("cambio", &AuditPurpose{Desk: sampleDesk(""), Purpose: sampleDesk("").Purpose, SubmitURL: "#main", BackURL: "#main"})
	s.add("corto", &AuditPurpose{
		Desk: sampleDesk(""), Purpose: "ver", SubmitURL: "#main", BackURL: "#main", Problems: []Problem{{FieldPurpose, policies.Refuse(policies.PurposeMissing)}},
	})
	s.add("nueva", &AuditInvited{Desk: &Desk{}})
}

func (s *sampler) auditSearch() {
	form := func(state string, f SearchForm, problems ...Problem) {
		s.add(state, &AuditSearch{
			Desk: sampleDesk("search"), Form: f, Problems: problems, SubmitURL: "#main", UploadURL: "#main", UploadLimit: uploadLimit,
			Applications: []Choice{{"app-1", "Sede electrónica"}, {"app-2", "Portal de ayudas"}},
		})
	}
	form("nueva", SearchForm{})
	form("huella", SearchForm{Hash: groups(sampleHash), File: "Solicitud de ayuda.pdf", Citizen: "12345678Z"})
	form("errores", SearchForm{Citizen: "12345678A", Serial: "xyz", Hash: "7f3a", From: "2026-11-21", To: "2026-11-01", Event: string(audit.SignDone)},
		Problem{FieldCitizen, policies.Refuse(policies.IdentifierInvalid)}, invalid(FieldSerial, "serial"), invalid(FieldHash, "hash"), invalid(FieldTo, "order"))
	form("archivo-grande", SearchForm{}, invalid(FieldFile, "file_large"))
	form("sin-archivo", SearchForm{}, invalid(FieldFile, "file"))
	form("caducada", SearchForm{}, invalid("", "lapsed"))

	found := func(state string, view *AuditFound) {
		view.ChangeURL, view.SaveURL, view.Size = "#main", "#main", 18_250_431
		view.Asked = []AskedFor{{Field: FieldCitizen, Text: "12345678Z"}, {Field: FieldEvent, Group: "signatures"}, {Field: FieldFrom, Day: s.now.AddDate(0, 0, -7)}}
		s.add(state, &AuditSearch{Desk: sampleDesk("search"), Found: view})
	}
	entries := s.entries()
	found("resultados", &AuditFound{Rows: rows(entries, sampleNames(), ""), NextURL: "#main"})
	found("siguientes", &AuditFound{Rows: rows(entries[:3], sampleNames(), ""), Later: true, FirstURL: "#main"})
	found("nada", &AuditFound{})
}

const (
	sampleHash      = "7f3a91c05be2d84417aa0c9f63b1e58d2a4470f9c6d35e18b07fa29c41d6e380"
	sampleOperation = "P7Q2M4XKJ5TS3A6B"
	sampleSerial    = "5f3a91c05be2d84417aa0c9f63b1e58d"
)

func sampleNames() map[string]string {
	return map[string]string{"app-1": "Sede electrónica", "app-2": "Portal de ayudas"}
}

// entries are one signature from its beginning to its end, with a wrong code on
// the way; and one entry that was altered and one that was erased.
func (s *sampler) entries() []auditing.Entry {
	var all []auditing.Entry
	add := func(after time.Duration, t audit.EventType, facts map[string]any) {
		schema, _ := audit.SchemaOf(t)
		payload, err := json.Marshal(facts)
		if err != nil {
			panic(err) // an invented fact that is none
		}
		all = append(all, auditing.Entry{
			Seq: int64(18_250_101 + 7*len(all)), Type: t, Operation: sampleOperation, At: s.now.Add(after), Person: "12345678Z",
			Facts: facts, Result: schema.Result, Intact: true,
			Leaf: []byte(`{"v":1,"type":"` + string(t) + `","op":"` + sampleOperation + `"}`), Payload: payload, Salt: []byte("0123456789abcdef"),
		})
	}
	document := map[string]any{
		"ordinal": json.Number("1"), "name": "Solicitud de ayuda.pdf", "sha256": sampleHash, "format": "pades", "level": "B-LT", "pages": json.Number("3"),
	}
	documents := []any{document}
	add(0, audit.SignRequested, map[string]any{"application": "app-1", "title": "Solicitud de ayuda a la rehabilitación", "documents": documents})
	add(41*time.Second, audit.AuthSucceeded, map[string]any{"application": "app-1", "factor": "knowledge", "address": "192.0.2.7"})
	add(52*time.Second, audit.SignShown, map[string]any{"application": "app-1", "reference": "K7QF", "title": "Solicitud de ayuda a la rehabilitación", "documents": documents})
	add(53*time.Second, audit.CodeSent, map[string]any{"application": "app-1", "purpose": "signature", "phone": "··· ··· 421", "reference": "K7QF"})
	add(98*time.Second, audit.CodeFailed, map[string]any{"application": "app-1", "purpose": "signature", "reason": string(policies.CodeWrong), "attempts": json.Number("1")})
	add(121*time.Second, audit.SignAuthorised, map[string]any{
		"application": "app-1", "authorisation": "3QKX7M2P", "reference": "K7QF", "serial": sampleSerial, "factors": []any{"knowledge", "possession"},
		"registration": map[string]any{"mode": "office", "level": "advanced", "assured_at": "2024-03-12"}, "documents": documents,
		"expires": s.now.Add(7 * time.Minute).Format(time.RFC3339), "seconds": json.Number("68"), "shown_seconds": json.Number("69"),
	})
	add(121*time.Second+40*time.Millisecond, audit.SignIntent, map[string]any{"application": "app-1", "authorisation": "3QKX7M2P", "serial": sampleSerial, "keeper": "sealed", "documents": documents})
	add(122*time.Second, audit.SignDone, map[string]any{"application": "app-1", "authorisation": "3QKX7M2P", "serial": sampleSerial, "signatures": []any{sampleHash}, "documents": documents})
	return all
}

func (s *sampler) auditEntries() {
	entry := func(state string, single auditing.Single) {
		view := newAuditEntry(single, sampleNames())
		view.Desk, view.BackURL = sampleDesk("search"), "#main"
		s.add(state, view)
	}
	all := s.entries()
	proof := []byte("c2sp.org/tlog-proof@v1\n")
	entry("integra", auditing.Single{Entry: all[5], Proof: proof, Witnessed: true})
	entry("sin-testigos", auditing.Single{Entry: all[3], Proof: proof})
	entry("sin-publicar", auditing.Single{Entry: all[7]})
	altered := all[4]
	altered.Intact, altered.Facts = false, nil
	entry("alterada", auditing.Single{Entry: altered, Proof: proof, Witnessed: true})
	erased := all[1]
	erased.Erased, erased.Facts, erased.Person, erased.Payload, erased.Salt = true, nil, "", nil, nil
	entry("borrada", auditing.Single{Entry: erased, Proof: proof, Witnessed: true})

	operation := func(state string, found auditing.Found) {
		found.Size = 18_250_431
		view := newAuditOperation(sampleOperation, found, sampleNames())
		view.Desk = sampleDesk("search")
		s.add(state, view)
	}
	operation("firma", auditing.Found{Entries: all})
	operation("larga", auditing.Found{Entries: append(all[:4:4], altered), Next: 1})
	operation("nada", auditing.Found{})
}

func (s *sampler) auditTotals() {
	today := s.now.UTC().Truncate(day)
	view := func(state string, totals auditing.Totals, problems ...Problem) {
		v := &AuditTotals{
			Desk: sampleDesk("totals"), SubmitURL: "#main", Problems: problems, From: totals.From.Format(time.DateOnly), To: totals.To.AddDate(0, 0, -1).Format(time.DateOnly),
			Applications: choices(sampleNames()),
		}
		if len(problems) == 0 {
			v.draw(totals, sampleNames(), s.words)
		}
		s.add(state, v)
	}
	view("mes", sampleTotals(today.AddDate(0, 0, -29), today.AddDate(0, 0, 1)))
	view("ano", sampleTotals(today.AddDate(-1, 0, 0), today.AddDate(0, 0, 1)))
	view("vacio", auditing.Totals{From: today, To: today.AddDate(0, 0, 1)})
	behind := sampleTotals(today.AddDate(0, 0, -6), today.AddDate(0, 0, 1))
	behind.Counted = behind.Size - 1_204
	view("atrasado", behind)
	view("fechas", auditing.Totals{From: today, To: today.AddDate(0, 0, -6)}, invalid(FieldTo, "order"))
}

// sampleTotals invents working days and quiet weekends.
func sampleTotals(from, to time.Time) auditing.Totals {
	t := auditing.Totals{From: from, To: to, Counted: 18_250_431, Size: 18_250_431}
	n := int64(0)
	for at := from; at.Before(to); at = at.AddDate(0, 0, 1) {
		n++
		busy := 40 + (n*37)%60
		if at.Weekday() == time.Saturday || at.Weekday() == time.Sunday {
			busy = 3 + n%5
		}
		for app, share := range map[string]int64{"app-1": 3, "app-2": 1} {
			for result, part := range map[audit.Result]int64{audit.ResultSucceeded: busy * share, audit.ResultRefused: busy * share / 12, audit.ResultFailed: n % 3 / 2, audit.ResultExpired: busy * share / 20} {
				t.Signatures = append(t.Signatures, auditing.SignatureTotal{Day: at, Application: app, Result: result, N: part})
			}
		}
		t.CodeFailures = append(t.CodeFailures, auditing.EventTotal{Day: at, Type: audit.CodeFailed, N: busy / 6},
			auditing.EventTotal{Day: at, Type: audit.CodeExpired, N: busy / 15}, auditing.EventTotal{Day: at, Type: audit.CodeSendFailed, N: n % 4 / 3})
		t.Confirmations = append(t.Confirmations, auditing.TimeTotal{Day: at, N: busy, Seconds: busy * (38 + n*7%25)})
	}
	for i, code := range []policies.Code{policies.CredentialMissing, policies.RegistrationTooOld, policies.CertificateExpired, policies.RegistrationLevel, policies.DocumentChanged} {
		t.Refusals = append(t.Refusals, auditing.ReasonTotal{Type: audit.SignDenied, Reason: string(code), N: int64(240 / (i + 1))})
	}
	return t
}

func (s *sampler) auditHealth() {
	health := func(state string, change func(*auditing.Health)) {
		h := auditing.Health{
			At: s.now, Origin: "firma.example.es/log", Signing: true,
			Stamped: auditing.CheckpointHealth{Size: 18_250_420, At: s.now.Add(-8 * time.Second), Age: 8 * time.Second, Lag: 11},
			Size:    18_250_431, Last: s.now.Add(-time.Second), Counted: 18_250_431,
			Signed:    auditing.CheckpointHealth{Size: 18_250_431, At: s.now.Add(-time.Second), Age: time.Second},
			Witnessed: auditing.CheckpointHealth{Size: 18_250_428, At: s.now.Add(-3 * time.Second), Age: 3 * time.Second, Lag: 3},
			Witnesses: []auditing.WitnessHealth{
				{Name: "Diputación", Size: 18_250_431, At: s.now.Add(-2 * time.Second)}, {Name: "Universidad", Size: 18_250_428, At: s.now.Add(-3 * time.Second)}, {Name: "Archivo"},
			},
		}
		change(&h)
		s.add(state, &AuditHealth{Desk: sampleDesk("health"), Health: h, AgainURL: "#main"})
	}
	health("bien", func(*auditing.Health) {})
	health("atrasado", func(h *auditing.Health) {
		h.Witnessed.Age, h.Witnessed.At, h.Witnessed.Lag = 7*time.Minute, s.now.Add(-7*time.Minute), 412
	})
	health("sin-publicar", func(h *auditing.Health) {
		h.Signed, h.Witnessed, h.Stamped, h.Witnesses = auditing.CheckpointHealth{}, auditing.CheckpointHealth{}, auditing.CheckpointHealth{}, nil
	})
	health("suspendido", func(h *auditing.Health) {
		h.Suspended, h.Since, h.Reason, h.Recoveries, h.Signing = true, s.now.Add(-4*time.Minute), "behind", 1, false
		h.Size, h.Witnessed.Lag = 18_250_100, 0
	})
}

func (s *sampler) auditExport() {
	export := func(state string, change func(*AuditExport)) {
		v := &AuditExport{
			Desk: sampleDesk("export"), Scope: exportComplete, Format: string(auditing.JSONLines), From: "2026-11-01", To: "2026-11-21",
			SubmitURL: "#main", VerifyURL: "#main", SearchURL: "#main",
		}
		change(v)
		s.add(state, v)
	}
	export("intervalo", func(*AuditExport) {})
	export("consulta", func(v *AuditExport) {
		v.Search, v.Scope, v.Asked = "0000", exportQuery, []AskedFor{{Field: FieldCitizen, Text: "12345678Z"}, {Field: FieldResult, Outcome: audit.ResultFailed}}
	})
	export("fechas", func(v *AuditExport) {
		v.From, v.To, v.Problems = "2026-11-21", "2026-11-01", []Problem{invalid(FieldTo, "order")}
	})
	export("sin-testigos", func(v *AuditExport) { v.Problems = []Problem{{"", policies.Refuse(policies.CheckpointMissing)}} })
	s.add("publica", &AuditVerify{Desk: &Desk{}, Origin: "firma.example.es/log", LogURL: "https://firma.example.es/log"})
	s.add("auditor", &AuditVerify{Desk: sampleDesk("verify"), Origin: "firma.example.es/log", LogURL: "https://firma.example.es/log"})
}

func (s *sampler) auditPeople() {
	people := []AuditPerson{
		{ID: "AUD7K2", Name: "Carmen Ruiz Soto", Role: auditing.RoleAuditor, CreatedAt: s.now.AddDate(0, -3, 0), Passkeys: 2, Certificate: true, InviteURL: "#main", DisableURL: "#main"},
		{ID: "AUD9Q4", Name: "Pedro Gil Ramos", Role: auditing.RoleAuditor, CreatedAt: s.now.AddDate(0, 0, -1), InviteURL: "#main", DisableURL: "#main"},
		{ID: "ADM3X1", Name: "Luis Vega Mora", Role: auditing.RoleAdministrator, CreatedAt: s.now.AddDate(0, -3, 0), Passkeys: 1, Self: true, InviteURL: "#main"},
		{ID: "PRG5T8", Name: "Cuadro de mando", Role: auditing.RoleAuditor, CreatedAt: s.now.AddDate(0, -2, 0), Program: true, DisableURL: "#main"},
		{ID: "AUD1B6", Name: "Elena Mas Prat", Role: auditing.RoleAuditor, CreatedAt: s.now.AddDate(-1, 0, 0), Passkeys: 1, DisabledAt: s.now.AddDate(0, -1, 0)},
	}
	s.add("lista", &AuditPeople{Desk: sampleManager(), People: people})
	s.add("invitada", &AuditPeople{Desk: sampleManager(), People: people, Invited: &AuditInvitation{
		Name: "Pedro Gil Ramos", Link: "https://auditoria.example.es/auditoria/invitacion#MZXW6YTBOI5HK3TJ", Until: s.now.AddDate(0, 0, 1),
	}})
	s.add("nadie", &AuditPeople{Desk: sampleManager()})
	s.add("pregunta", &AuditDisable{Desk: sampleManager(), Person: people[0], SubmitURL: "#main", BackURL: "#main"})
}
