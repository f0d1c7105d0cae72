package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// operatorsFile writes one and the settings that name it.
func operatorsFile(t *testing.T, text string) SMSSettings {
	t.Helper()
	path := filepath.Join(t.TempDir(), "operators.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return SMSSettings{SMSOperators: path}
}

func TestOperatorAccounts(t *testing.T) {
	t.Parallel()
	s := operatorsFile(t, `
[[operator]]
name = "second"
kind = "smpp"
priority = 2
address = "smsc.example.es:3550"
tls = true
system_id = "rubrica"
password_file = "smpp-password"
source = "Rubrica"
enquire = "20s"
[[operator]]
name = "first"
kind = "http"
priority = 1
url = "https://sms.example.es/v1/sms"
token_file = "/run/secrets/token"
`)
	s.SMSGateway, s.SMSTokenFile, s.SMSStatusURL = "https://gateway.example.es/", "token", "https://gateway.example.es/{id}"
	got, err := s.accounts()
	if err != nil {
		t.Fatal(err)
	}
	want := []operatorAccount{
		{Name: "gateway", Kind: "http", URL: "https://gateway.example.es/", TokenFile: "token", StatusURL: "https://gateway.example.es/{id}"},
		{Name: "first", Kind: "http", Priority: 1, URL: "https://sms.example.es/v1/sms", TokenFile: "/run/secrets/token"},
		{
			Name: "second", Kind: "smpp", Priority: 2, Address: "smsc.example.es:3550", TLS: true, SystemID: "rubrica",
			PasswordFile: filepath.Join(filepath.Dir(s.SMSOperators), "smpp-password"), Source: "Rubrica", Enquire: Duration{20 * time.Second},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("accounts differ (-want +got):\n%s", diff)
	}
}

func TestOperatorAccountsRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nobody":         "",
		"no TOML":        "[[operator",
		"an unknown key": "[[operator]]\nname = \"a\"\nkind = \"http\"\naddr = \"x\"\n",
		"no name":        "[[operator]]\nkind = \"http\"\n",
		"a name twice":   "[[operator]]\nname = \"a\"\n[[operator]]\nname = \"a\"\n",
		"no duration":    "[[operator]]\nname = \"a\"\nenquire = \"often\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := operatorsFile(t, text).accounts(); err == nil {
				t.Errorf("got %+v, want an error", got)
			}
		})
	}
}

func TestOperatorsOfProduction(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		account operatorAccount
		secure  bool
	}{
		{operatorAccount{Kind: "smpp", TLS: true}, true},
		{operatorAccount{Kind: "http", URL: "https://a.example", StatusURL: "https://a.example/{id}"}, true},
		{operatorAccount{Kind: "http", URL: "https://a.example", StatusURL: "http://a.example/{id}"}, false},
		{operatorAccount{Kind: "smpp"}, false},
		{operatorAccount{Kind: "http", URL: "https://sms.example.es/"}, true},
		{operatorAccount{Kind: "http", URL: "http://sms.example.es/"}, false},
		{operatorAccount{Kind: "http", URL: "http://sms.example.es/", TLS: true}, false},
	} {
		if err := test.account.check("production"); (err == nil) != test.secure {
			t.Errorf("%+v in production: got %v, want accepted %t", test.account, err, test.secure)
		}
		if err := test.account.check("development"); err != nil {
			t.Errorf("%+v in development: got %v, want it accepted", test.account, err)
		}
	}
	// What is no address of a message is none anywhere.
	for _, account := range []operatorAccount{
		{Kind: "http", URL: "https://a.example", StatusURL: "https://a.example/"},
		{Kind: "smpp", TLS: true, StatusURL: "https://a.example/{id}"},
	} {
		for _, mode := range []string{"production", "development"} {
			if err := account.check(mode); err == nil {
				t.Errorf("%+v in %s: got it accepted, want an error", account, mode)
			}
		}
	}
}

// An account opens with its secrets and authorities, or says what is missing.
func TestOpenOperators(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		account operatorAccount
		keeps   bool // a connection
		fails   bool
	}{
		"smpp":                     {account: operatorAccount{Kind: "smpp", TLS: true, PasswordFile: secret}, keeps: true},
		"http":                     {account: operatorAccount{Kind: "http", TokenFile: secret}},
		"http that tells":          {account: operatorAccount{Kind: "http", TokenFile: secret, StatusURL: "https://a.example/{id}"}, keeps: true},
		"another kind":             {account: operatorAccount{Kind: "fax"}, fails: true},
		"no password":              {account: operatorAccount{Kind: "smpp"}, fails: true},
		"no token":                 {account: operatorAccount{Kind: "http"}, fails: true},
		"authorities without any":  {account: operatorAccount{Kind: "smpp", TLS: true, PasswordFile: secret, CAFile: secret}, fails: true},
		"authorities that are not": {account: operatorAccount{Kind: "smpp", TLS: true, PasswordFile: secret, CAFile: secret + "x"}, fails: true},
	} {
		operator, keep, err := test.account.open(nil, nil, time.Second, nil)
		if (err != nil) != test.fails || (keep != nil) != test.keeps || err == nil && operator.Submit == nil {
			t.Errorf("%s: got error %v, keeps %t; want fails %t, keeps %t", name, err, keep != nil, test.fails, test.keeps)
		}
	}
}
