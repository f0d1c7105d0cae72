package validation

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/ca"
	"github.com/rubrica-firma/rubrica/ca/ocsp"
)

// FuzzDecode: no path makes trouble, what is read of one is read of its plain
// form too, and whatever a client writes of a request is read as that request.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"/ocsp/MAA=", "/ocsp/MAA", "/ocsp//MAA%3D", "/ocsp/%4dAA=", "/ocsp/MD8+/+AA", "/ocsp/MD8%2B%2f%20AA", "/ocsp", "/ocsp/", "/ocsp/%", "/ocsp/M\nAA=",
		"/ocsp/MEMwQTA/MD0wOzAJBgUrDgMCGgUABBQ7lJ3YvbsFm8k4j7m+WdyYbP7NfgQUyYzjM5DcRzMHB1O34ftM6CQX7AICAgkA",
	} {
		f.Add(seed, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, path string, request []byte) {
		if got, ok := decode(path); ok {
			again, ok := decode("/ocsp/" + base64.StdEncoding.EncodeToString(got))
			if !ok || !starts(got) && !bytes.HasSuffix(got, again) || starts(got) && !bytes.Equal(got, again) {
				t.Errorf("%q is read as %x, and that as %x %v", path, got, again, ok)
			}
		}
		request = append([]byte{0x30}, request...)
		text := base64.StdEncoding.EncodeToString(request)
		for _, path := range []string{
			text, url.PathEscape(text), url.QueryEscape(text), "/" + text, strings.TrimRight(text, "="), strings.ReplaceAll(text, "+", "%20"),
		} {
			if got, ok := decode("/ocsp/" + path); !ok || !bytes.Equal(got, request) {
				t.Errorf("%q: got %x %v, want %x", path, got, ok, request)
			}
		}
	})
}

// starts is whether a request begins as DER does that is not taken for a slash.
func starts(request []byte) bool { return request[0] == 0x30 }

// TestMemoryIsBounded: whatever is remembered and forgotten, the memory stays
// within its bounds and its index true.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const entries, octets = 12, 14 * (overhead + 100)
		m, err := newMemory(entries, octets)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		m.restart(0, now)
		t.Repeat(map[string]func(*rapid.T){
			"keep": func(t *rapid.T) {
				serial := fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "serial"))
				request := serial + fmt.Sprint(rapid.IntRange(0, 20).Draw(t, "variant"))
				size := rapid.SampledFrom([]int{1, 90, 3 * overhead, octets}).Draw(t, "size")
				a := newAnswer(ocsp.Answer{
					DER: make([]byte, size), Serial: serial, Cacheable: true, ThisUpdate: now, NextUpdate: now.Add(time.Hour),
				}, now)
				m.keep([]byte(request), a, m.now())
				if _, ok := m.recall([]byte(request), now); ok != (size < octets) {
					t.Fatalf("%d octets: remembered %v", size, ok)
				}
			},
			"recall": func(t *rapid.T) { m.recall([]byte(rapid.StringMatching(`[0-3][0-9]`).Draw(t, "request")), now) },
			"change": func(t *rapid.T) {
				serial := fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "serial"))
				m.forget([]ca.Change{{Serial: serial}})
				if len(m.requests[serial]) > 0 {
					t.Fatalf("%v are left of %s", m.requests[serial], serial)
				}
			},
			"restart": func(*rapid.T) { m.restart(0, now) },
			"": func(t *rapid.T) {
				used, indexed := 0, 0
				for _, key := range m.answers.order.Keys() {
					a, _ := m.answers.order.Peek(key)
					used += cost(key, a)
				}
				for serial, keys := range m.requests {
					indexed += len(keys)
					if len(keys) == 0 || len(keys) > variants {
						t.Fatalf("%d requests about %s", len(keys), serial)
					}
				}
				if n := m.answers.order.Len(); used != m.answers.used || used > octets || n > entries || n != indexed {
					t.Fatalf("%d answers of %d octets, %d counted, %d in the index", n, used, m.answers.used, indexed)
				}
			},
		})
	})
}

// TestOldQuestions: an answer that was asked for before a change, or before the
// feed was first read, is not remembered.
func TestOldQuestions(t *testing.T) {
	t.Parallel()
	m, err := newMemory(10, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	a := newAnswer(ocsp.Answer{DER: []byte("x"), Serial: "1", Cacheable: true, ThisUpdate: now, NextUpdate: now.Add(time.Hour)}, now)
	for _, tt := range []struct {
		name      string
		meanwhile func()
		kept      bool
	}{
		{"before the first poll", func() {}, false},
		{"over the first poll", func() { m.restart(4, now) }, false},
		{"nothing new", func() { m.vouch(now) }, true},
		{"a change", func() { m.forget([]ca.Change{{Seq: 5, Serial: "1"}}) }, false},
		{"another's change", func() { m.forget([]ca.Change{{Seq: 6, Serial: "2"}}) }, false},
	} {
		epoch := m.now()
		tt.meanwhile()
		m.keep([]byte("r"), a, epoch)
		if _, ok := m.recall([]byte("r"), now); ok != tt.kept {
			t.Errorf("%s: remembered %v, want %v", tt.name, ok, tt.kept)
		}
		if _, ok := m.recall([]byte("r"), now.Add(trust)); ok {
			t.Errorf("%s: remembered without the feed", tt.name)
		}
	}
	if position, known := m.place(now); position != 6 || !known {
		t.Errorf("got place %d %v, want 6", position, known)
	}
}
