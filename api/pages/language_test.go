package pages

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestLocale(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name                    string
		address, cookie, header string
		want                    string
		remembers               bool
	}{
		{"nothing said", "/", "", "", "es", false},
		{"the browser's", "/", "", "en-GB,en;q=0.9", "en", false},
		{"the remembered one wins", "/", "es", "en", "es", false},
		{"the one asked for wins and is remembered", "/?lang=en", "es", "es", "en", true},
		{"one that does not exist", "/?lang=tlh", "", "en", "en", false},
		{"a forged cookie", "/", "../../etc", "en", "en", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, test.address, nil)
			r.Header.Set("Accept-Language", test.header)
			if test.cookie != "" {
				r.AddCookie(&http.Cookie{Name: languageCookie, Value: test.cookie})
			}
			w := httptest.NewRecorder()
			if got := open(t).Locale(w, r); got != test.want {
				t.Errorf("Locale: got %s, want %s", got, test.want)
			}
			cookie := w.Header().Get("Set-Cookie")
			if got := cookie != ""; got != test.remembers {
				t.Errorf("cookie: got %q, want one: %t", cookie, test.remembers)
			}
			if test.remembers && (!strings.Contains(cookie, "Secure") || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax")) {
				t.Errorf("cookie: got %q, want it secure", cookie)
			}
		})
	}
}

func TestLanguageLinksKeepThePage(t *testing.T) {
	t.Parallel()
	p := open(t)
	at := func(self string) View { return &Identify{Self: self} }
	links := p.languageLinks(at("/firma/1/revisar?documento=2&pagina=3&lang=es"), "es")
	if len(links) != len(p.options.Catalogue.Languages()) {
		t.Fatalf("got %d links, want one for each language", len(links))
	}
	for _, link := range links {
		if want := "/firma/1/revisar?documento=2&lang=" + link.Tag + "&pagina=3"; link.URL != want {
			t.Errorf("link to %s: got %s, want %s", link.Tag, link.URL, want)
		}
		if link.Current != (link.Tag == "es") {
			t.Errorf("link to %s: got current %t", link.Tag, link.Current)
		}
	}
	if got := len(p.languageLinks(&AuditTotals{Self: "/auditoria/resumen"}, "es")); got != 2 {
		t.Errorf("links of an auditor's page: got %d, want Spanish and English", got)
	}
	if got := p.languageLinks(at(""), "es"); got != nil {
		t.Errorf("links of a page without address: got %v, want none", got)
	}
	for _, link := range p.languageLinks(at("//evil.example/x"), "es") {
		if strings.HasPrefix(link.URL, "//") || strings.Contains(link.URL, "evil") {
			t.Errorf("link: got %s, want this site", link.URL)
		}
	}
}
