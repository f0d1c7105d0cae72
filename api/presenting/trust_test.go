package presenting

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/citizen"
)

// TestOpenTrust: a list with anything that means nothing is no list.
func TestOpenTrust(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.trust(w.reach())
	person := w.issue(w.fnmt, anaFNMT(nil))
	w.file("person.pem", person.certificate)
	w.file("empty.pem")
	const right = `
[[authority]]
name = "FNMT"
class = "qualified"
subject = "etsi"
issuers = ["fnmt.pem"]
policies = ["1.3.6.1.4.1.5734.3.10.1"]
`
	for name, test := range map[string]struct{ content, complaint string }{
		"right":            {right, ""},
		"empty":            {"", "names no authority"},
		"not TOML":         {"[[authority", "trust list"},
		"misspelt setting": {right + "polices = []\n", "means nothing"},
		"no name":          {strings.Replace(right, "FNMT", " ", 1), "no name"},
		"unknown class":    {strings.Replace(right, `"qualified"`, `"simple"`, 1), "class"},
		"unknown profile":  {strings.Replace(right, `"etsi"`, `"any"`, 1), "profile"},
		"no issuers":       {strings.Replace(right, `["fnmt.pem"]`, `[]`, 1), "issuers"},
		"missing file":     {strings.Replace(right, `fnmt.pem`, `none.pem`, 1), "none.pem"},
		"empty file":       {strings.Replace(right, `fnmt.pem`, `empty.pem`, 1), "no certificate"},
		"a person":         {strings.Replace(right, `fnmt.pem`, `person.pem`, 1), "no authority's certificate"},
		"no policies":      {strings.Replace(right, `["1.3.6.1.4.1.5734.3.10.1"]`, `[]`, 1), "policies"},
		"all policies":     {strings.Replace(right, `1.3.6.1.4.1.5734.3.10.1`, `.*`, 1), "object identifier"},
		"no OID":           {strings.Replace(right, `1.3.6.1.4.1.5734.3.10.1`, `1.3.x`, 1), "object identifier"},
		"no network":       {right + `networks = ["127.0.0.1"]` + "\n", "network"},
		"no address":       {right + `ocsp = ["ldap://ocsp.example.es"]` + "\n", "address"},
		"no host":          {right + `hosts = ["http://ocsp.example.es"]` + "\n", "host"},
	} {
		path := filepath.Join(w.dir, "list.toml")
		if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := OpenTrust(path)
		if test.complaint == "" && err != nil || test.complaint != "" && (err == nil || !strings.Contains(err.Error(), test.complaint)) {
			t.Errorf("%s: got %v, want a word on %q", name, err, test.complaint)
		}
	}
}

// FuzzSubject: whatever is read as a person has a number in its one form and a
// name in its own, and no organisation beside.
func FuzzSubject(f *testing.F) {
	for _, seed := range [][]byte{
		anaDNIe(nil).RawSubject,
		anaFNMT(nil).RawSubject,
		spain(gn("ANA"), sn("NÚÑEZ PÉREZ"), cn("NÚÑEZ PÉREZ ANA - NIF 12345678Z")),
		spain(orgID("VATES-B12345674"), o("EJEMPLO SL"), serial("IDCES-12345678Z"), gn("ANA"), sn("NÚÑEZ"), cn("12345678Z ANA NÚÑEZ (R: B12345674)")),
		spain(serial("IDCES-X1234567L"), gn("JOÃO"), sn("DA SILVA"), cn("DA SILVA JOÃO")),
		{0x30, 0x80},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		for _, p := range []profile{profileDNIe, profileETSI, profileCommonName} {
			person, err := p.read(der)
			if err != nil {
				continue
			}
			id, name := person.Identifier, person.Name
			if again, err := citizen.ParseIdentifier(id.String()); err != nil || again != id {
				t.Errorf("%s: got identifier %q (%v), want one in its form", p, id, err)
			}
			if again, err := citizen.ParseName(name.Given(), name.Surnames()); err != nil || again != name {
				t.Errorf("%s: got name %q (%v), want one in its form", p, name, err)
			}
			s, err := readSubject(der)
			if err != nil || s[organisation] != "" || s[organisationIdentifier] != "" || s[pseudonym] != "" {
				t.Errorf("%s: got %+v, want nobody who acts for another", p, s)
			}
			if !strings.Contains(s[serialNumber]+" "+s[commonName], id.String()) {
				t.Errorf("%s: got %s, which the subject does not have", p, id)
			}
		}
	})
}

func BenchmarkLook(b *testing.B) {
	w := newWorld(b)
	d, _ := open(b, w, w.trust(w.reach()))
	p := w.issue(w.sub, anaDNIe(nil))
	f, err := d.Trust.List(b.Context()).find(p.certificate, w.now())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("asking", func(b *testing.B) {
		for b.Loop() {
			d.register.kept.statuses.Purge()
			if _, err := d.register.check(b.Context(), f); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("kept", func(b *testing.B) {
		for b.Loop() {
			if _, err := d.register.check(b.Context(), f); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("chain", func(b *testing.B) {
		for b.Loop() {
			if _, err := d.Trust.List(b.Context()).find(p.certificate, w.now()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
