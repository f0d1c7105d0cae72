package citizen

import (
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/policies"
)

func TestParseEmail(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"maria@example.org":                         "maria@example.org",
		"  maria@example.org\n":                     "maria@example.org",
		"Maria.Perez+firma@Correo.EXAMPLE.org":      "Maria.Perez+firma@correo.example.org",
		"o'neill@a-b.es":                            "o'neill@a-b.es",
		"a@xn--espaol-zwa.es":                       "a@xn--espaol-zwa.es",
		strings.Repeat("a", 64) + "@example.org":    strings.Repeat("a", 64) + "@example.org",
		"a@" + strings.Repeat("b", 63) + ".example": "a@" + strings.Repeat("b", 63) + ".example",
		"_maria_@1and1.es":                          "_maria_@1and1.es",
	} {
		email, err := ParseEmail(typed)
		if err != nil {
			t.Errorf("ParseEmail(%q): %v", typed, err)
			continue
		}
		if got := email.String(); got != want {
			t.Errorf("ParseEmail(%q): got %q, want %q", typed, got, want)
		}
	}
}

func TestParseEmailRefuses(t *testing.T) {
	t.Parallel()
	for _, typed := range []string{
		"", "maria", "@example.org", "maria@", "maria@localhost", "maria@example..org", "maria@.example.org",
		"maria@example.org.", "maria@-example.org", "maria@example-.org", "maria@[127.0.0.1]", "maria@127.0.0.1",
		`"ma ria"@example.org`, "María <maria@example.org>", "<maria@example.org>", "maria@example.org, b@example.org",
		"maría@example.org", "maria@españa.es", "ma ria@example.org", "maria@example.org\r\nBcc: b@example.org",
		"maria@@example.org", ".maria@example.org", "maria(x)@example.org", "maria@exa_mple.org",
		strings.Repeat("a", 65) + "@example.org",
		"a@" + strings.Repeat("b", 64) + ".example",
		"a@" + strings.Repeat("b.", 200) + "example",
	} {
		email, err := ParseEmail(typed)
		if err == nil {
			t.Errorf("ParseEmail(%q): got %v, want a refusal", typed, email.address)
			continue
		}
		wantRefusal(t, err, policies.EmailInvalid)
	}
}

func TestEmailEqualAndMasked(t *testing.T) {
	t.Parallel()
	email := mustEmail(t, "Maria.Perez@Example.org")
	if !email.Equal(mustEmail(t, "maria.perez@example.ORG")) {
		t.Error("Equal: two cases of one address differ")
	}
	if email.Equal(mustEmail(t, "maria.perez@example.com")) {
		t.Error("Equal: two domains are the same")
	}
	if got, want := email.Masked(), "M···@example.org"; got != want {
		t.Errorf("Masked: got %q, want %q", got, want)
	}
	if got, want := email.LogValue().String(), "M···@example.org"; got != want {
		t.Errorf("LogValue: got %q, want %q", got, want)
	}
}

func FuzzParseEmail(f *testing.F) {
	for _, seed := range []string{"maria@example.org", "A.b+c@D.es", "a@b", `"x"@y.es`, "a@[::1]", "x@y.es, z@y.es", "ñ@y.es"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		email, err := ParseEmail(typed)
		if err != nil {
			wantRefusal(t, err, policies.EmailInvalid)
			return
		}
		again, err := ParseEmail(email.String())
		if err != nil || again != email {
			t.Errorf("ParseEmail(%q): got %q, which reads as %q, %v", typed, email.address, again.address, err)
		}
		if strings.ContainsAny(email.String(), "\r\n ,<>\x00") {
			t.Errorf("ParseEmail(%q): got %q, which would break a header", typed, email.address)
		}
	})
}

func mustEmail(t *testing.T, s string) Email {
	t.Helper()
	email, err := ParseEmail(s)
	if err != nil {
		t.Fatalf("ParseEmail(%q): %v", s, err)
	}
	return email
}
