package webhooks_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/rubrica-firma/rubrica/api/webhooks"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://sede.example.es/avisos":      "https://sede.example.es/avisos",
		"https://SEDE.example.es":             "https://sede.example.es/",
		"https://sede.example.es:8443/a?b=c":  "https://sede.example.es:8443/a?b=c",
		"https://xn--sed-dma.example.es/":     "https://xn--sed-dma.example.es/",
		"https://1.sede-2.example.es/a%20b/c": "https://1.sede-2.example.es/a%20b/c",
	} {
		if got, err := webhooks.ParseAddress(in, false); got != want || err != nil {
			t.Errorf("%s: got %q %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"http://127.0.0.1:8081/avisos", "https://127.0.0.1:8081/avisos", "http://localhost:8081/avisos", "http://[::1]/avisos",
	} {
		if got, err := webhooks.ParseAddress(in, true); got != in || err != nil {
			t.Errorf("%s in development: got %q %v, want it as it is", in, got, err)
		}
	}
}

// What is not registered in the first place.
func TestParseAddressRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", "sede", "//sede.example.es/", "https:sede.example.es", "https:///avisos", "https://", "https://:443/",
		"http://sede.example.es/", "ftp://sede.example.es/", "gopher://sede.example.es/", "file:///etc/passwd", "javascript:alert(1)",
		"https://user@sede.example.es/", "https://user:secret@sede.example.es/", "https://sede.example.es@127.0.0.1/",
		"https://sede.example.es/#", "https://sede.example.es/#fragment", `https://sede.example.es\@127.0.0.1/`, "https://sede.example.es/a b",
		"https://sede.example.es\t/", "https://sede.example.es\n", "https://sede.éxample.es/", "https://sede.example.es.。/",
		"https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0177.0.0.1/", "https://0x7f.0x0.0x0.0x1/", "https://0x7f000001/",
		"https://1.2.3.4/", "https://8.8.8.8/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[fe80::1%25eth0]/", "https://[2a00::1]/",
		"https://169.254.169.254/latest/meta-data/", "https://sede.0x7f/", "https://sede.1/", "https://127.0.0.1./",
		"https://localhost/", "https://localhost:8443/", "https://LOCALHOST/", "https://a.localhost/", "https://localhost./", "https://sede/",
		"https://metadata.google.internal/", "https://printer.local/", "https://router.home.arpa/", "https://sede.test/", "https://hidden.onion/",
		"https://sede..example.es/", "https://.example.es/", "https://sede.example.es./", "https://sede_*.example.es/",
		"https://sede.example.es:99999999/", "https://sede.example.es:x/", "https://" + strings.Repeat("a", 64) + ".es/",
		"https://sede.example.es/" + strings.Repeat("a", 2000), "https://%31%32%37.0.0.1/", "https://127.0.0.1%2f.example.es/",
	} {
		if got, err := webhooks.ParseAddress(in, false); err == nil {
			t.Errorf("%s: got %q, want it refused", in, got)
		}
	}
	for _, in := range []string{"http://sede.example.es/", "https://10.0.0.1/", "http://169.254.169.254/", "https://printer.local/"} {
		if got, err := webhooks.ParseAddress(in, true); err == nil {
			t.Errorf("%s in development: got %q, want it refused", in, got)
		}
	}
}

// Where a name may lead to, and where it may not.
func TestNetworks(t *testing.T) {
	t.Parallel()
	public, development := webhooks.NewNetworks(false), webhooks.NewNetworks(true)
	for _, c := range []struct {
		addresses string
		allowed   bool
	}{
		{"8.8.8.8 1.1.1.1 193.146.1.10 100.63.255.255 100.128.0.0 172.15.255.255 172.32.0.0 223.255.255.255 168.63.129.15", true},
		{"2a00:1450:4003:80f::200e 2606:4700:4700::1111 2001:720:418:caf0::1 2003::1 3ffe::1", true},
		{"0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.255", false},
		{"127.0.0.1 127.255.255.254 169.254.0.1 100.64.0.1 100.127.255.255", false},
		{"169.254.169.254 169.254.170.2 100.100.100.200 192.0.0.192 168.63.129.16 fd00:ec2::254 fd20:ce::254", false}, // metadata
		{"192.0.0.1 192.0.2.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 192.88.99.1", false},
		{"224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255", false},
		{":: ::1 fe80::1 fe80::1%eth0 febf::1 fec0::1 fc00::1 fdff::1 ff02::1 ff0e::1", false},
		{"::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1 ::8.8.8.8 ::ffff:0:127.0.0.1", false},
		{"64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b::808:808 64:ff9b:1::1", false},     // NAT64
		{"2002:7f00:1:: 2002:a9fe:a9fe::1 2002:808:808::1 2001::1", false},              // 6to4, Teredo
		{"2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:10::1 2001:20::1 2001:2::1", false}, // Teredo, ORCHID, benchmarking
		{"2a00::5efe:7f00:1 2a00::200:5efe:a00:1 2001:db8::1 3fff::1 100::1 5f00::1 4000::1 e000::1", false},
	} {
		for s := range strings.FieldsSeq(c.addresses) {
			addr := netip.MustParseAddr(s)
			if got := public.Allows(addr); got != c.allowed {
				t.Errorf("%s: got %t, want %t", s, got, c.allowed)
			}
			if got, want := development.Allows(addr), c.allowed || addr.Unmap().IsLoopback(); got != want {
				t.Errorf("%s in development: got %t, want %t", s, got, want)
			}
		}
	}
	if public.Allows(netip.Addr{}) {
		t.Error("no address at all is allowed")
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"https://sede.example.es/avisos", "https://a@b", "https://[::1]:1/", "http://localhost/#", "https://0x7f.1/?a=b", "https://sede.example.es/" + strings.Repeat("'", 1900)} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, development bool) {
		once, err := webhooks.ParseAddress(s, development)
		if err != nil {
			return
		}
		if twice, err := webhooks.ParseAddress(once, development); twice != once || err != nil {
			t.Errorf("%q: got %q, and of that %q %v", s, once, twice, err)
		}
	})
}
