package check_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/check"
	"github.com/rubrica-firma/rubrica/internal/audittest"
)

// files implements check.Source.
type files map[string][]byte

func (f files) ReadEndpoint(_ context.Context, path string) ([]byte, error) { return f[path], nil }

// changed is a copy with one file put in another's place.
func (f files) changed(path string, data []byte) files {
	c := maps.Clone(f)
	c[path] = data
	return c
}

// leafPath is the bundle of an entry in a log of a size.
func leafPath(level int, seq, size int64) string {
	n := seq / 256
	return torchwood.TilePath(tlog.Tile{H: 8, L: level, N: n, W: int(min(256, size-n*256))})
}

func verify(tb testing.TB, c check.Checker, source check.Source) *check.Report {
	tb.Helper()
	r, err := c.Log(tb.Context(), "log", source)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// wantFault is that the first wrong entry is one of [index, until).
func wantFault(tb testing.TB, r *check.Report, index, until int64) {
	tb.Helper()
	if r.Verdict != check.Broken || r.Fault == nil {
		tb.Errorf("got %s, %+v, want it broken at [%d, %d)", r.Verdict, r.Doubts, index, until)
		return
	}
	if r.Fault.Index != index || r.Fault.Until != until {
		tb.Errorf("got fault %+v, want [%d, %d)", *r.Fault, index, until)
	}
}

func TestLogHolds(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 600)
	for _, size := range []int64{0, 1, 2, 255, 256, 257, 512, 600} {
		c := check.Checker{Policy: l.Policy(t)}
		if size > 3 {
			c.Known = l.Witnessed(t, size-3)
		}
		var done int64
		c.Progress = func(d, total int64) {
			if d < done || d > total || total != size {
				t.Errorf("progress: got %d of %d after %d", d, total, done)
			}
			done = d
		}
		r := verify(t, c, files(l.Files(t, size)))
		if r.Verdict != check.Holds || r.Entries.Checked != size || r.Entries.Unread != 0 || done != size {
			t.Errorf("size %d: got %+v", size, r)
		}
		if want := (check.Known{Size: size - 3, Consistent: true}); size > 3 && *r.Known != want {
			t.Errorf("size %d: known: got %+v, want %+v", size, *r.Known, want)
		}
		want := check.Checkpoint{Origin: l.Origin, Size: size, Root: l.Tree(t, size).Root.String(), WitnessedAt: l.Clock.Add(time.Second), Witnesses: []check.Witness{
			{Name: "w1", At: l.Clock}, {Name: "w2", At: l.Clock.Add(time.Second)},
		}}
		if diff := cmp.Diff(want, *r.Checkpoint); diff != "" {
			t.Errorf("size %d: checkpoint (-want +got):\n%s", size, diff)
		}
	}
}

// Each change that whoever serves the log can make is found at its place.
func TestLogFindsTampering(t *testing.T) {
	t.Parallel()
	const size, at = 600, 300
	l := audittest.New(t).Fill(t, size)
	honest := files(l.Files(t, size))
	other := files(l.Twin().Fill(t, size).Files(t, size))
	c := check.Checker{Policy: l.Policy(t)}
	bundle, tile, top := leafPath(-1, at, size), leafPath(0, at, size), torchwood.TilePath(tlog.Tile{H: 8, L: 1, N: 0, W: 2})
	leaves, err := audit.Unbundle(honest[bundle], 256)
	if err != nil {
		t.Fatal(err)
	}
	rebundle := func(change func([][]byte) [][]byte) []byte {
		made, err := audit.Bundle(change(slices.Clone(leaves)))
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	flip := func(b []byte, i int) []byte {
		b = bytes.Clone(b)
		b[i] ^= 1
		return b
	}
	const in = at - 256 // its place in the bundle
	for name, tc := range map[string]struct {
		source       files
		index, until int64
	}{
		"leaf edited":    {honest.changed(bundle, rebundle(func(l [][]byte) [][]byte { l[in] = flip(l[in], 9); return l })), at, at + 1},
		"leaf exchanged": {honest.changed(bundle, rebundle(func(l [][]byte) [][]byte { l[in], l[in+1] = l[in+1], l[in]; return l })), at, at + 1},
		"leaf deleted":   {honest.changed(bundle, rebundle(func(l [][]byte) [][]byte { return slices.Delete(l, in, in+1) })), at, at + 1},
		"leaf inserted": {honest.changed(bundle, rebundle(func(l [][]byte) [][]byte {
			return slices.Insert(l[:255], in, l[0])
		})), at, at + 1},
		"last leaf deleted":        {honest.changed(bundle, rebundle(func(l [][]byte) [][]byte { return l[:255] })), 511, 512},
		"octets after the last":    {honest.changed(bundle, append(bytes.Clone(honest[bundle]), 0)), 511, 512},
		"bundle missing":           {honest.changed(bundle, nil), 256, 257},
		"bundle of another":        {honest.changed(bundle, other[bundle]), 256, 257},
		"bundle of another place":  {honest.changed(bundle, honest[leafPath(-1, 0, size)]), 256, 257},
		"tile edited":              {honest.changed(tile, flip(honest[tile], 32*in)), at, at + 1},
		"tile missing":             {honest.changed(tile, nil), 256, 257},
		"tile too long":            {honest.changed(tile, append(bytes.Clone(honest[tile]), 0)), 256, 257},
		"tile too short":           {honest.changed(tile, honest[tile][:32*in]), at, at + 1},
		"leaf and tile":            {honest.changed(bundle, other[bundle]).changed(tile, other[tile]), 256, 512},
		"top edited":               {honest.changed(top, flip(honest[top], 32)), 256, 512},
		"top missing":              {honest.changed(top, nil), 0, 256},
		"leaf and top":             {honest.changed(bundle, other[bundle]).changed(top, flip(honest[top], 32)), 0, size},
		"last, partial bundle":     {honest.changed(leafPath(-1, 599, size), honest[leafPath(-1, 599, size)][:40]), 512, 513},
		"last, partial tile":       {honest.changed(leafPath(0, 599, size), flip(honest[leafPath(0, 599, size)], 32*80)), 592, 593},
		"everything but the notes": {other.changed("checkpoint", honest["checkpoint"]), 0, size},
		"checkpoint edited":        {honest.changed("checkpoint", flip(honest["checkpoint"], 30)), -1, -1},
		"checkpoint missing":       {honest.changed("checkpoint", nil), -1, -1},
		"cosignature edited":       {honest.changed("checkpoint", flip(honest["checkpoint"], len(honest["checkpoint"])-20)), -1, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantFault(t, verify(t, c, tc.source), tc.index, tc.until)
		})
	}
}

// Whatever single octet of whatever file is changed, it is found, and never said
// to be later than it is.
func TestLogFindsEveryOctet(t *testing.T) {
	t.Parallel()
	const size = 300
	l := audittest.New(t).Fill(t, size)
	honest := files(l.Files(t, size))
	names := slices.Sorted(maps.Keys(honest))
	c := check.Checker{Policy: l.Policy(t)}
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.SampledFrom(names).Draw(rt, "file")
		if name == "checkpoint" {
			return // TestPolicyOpenFindsEveryOctet
		}
		data := bytes.Clone(honest[name])
		i := rapid.IntRange(0, len(data)-1).Draw(rt, "place")
		data[i] ^= byte(rapid.IntRange(1, 255).Draw(rt, "change"))
		r := verify(t, c, honest.changed(name, data))
		first, last := entriesOf(t, honest, name, i)
		if r.Verdict != check.Broken || r.Fault.Index > last || r.Fault.Until <= first {
			rt.Errorf("octet %d of %s: got %s %+v, want it at [%d, %d]", i, name, r.Verdict, r.Fault, first, last)
		}
	})
}

// entriesOf is which entries an octet of a file is of.
func entriesOf(tb testing.TB, all files, name string, place int) (first, last int64) {
	tb.Helper()
	tile, err := torchwood.ParseTilePath(name)
	if err != nil {
		tb.Fatal(err)
	}
	if tile.L >= 0 {
		width := int64(1) << (8 * tile.L)
		n := tile.N*256 + int64(place/32)
		return n * width, min((n+1)*width, 300) - 1
	}
	leaves, err := audit.Unbundle(all[name], tile.W)
	if err != nil {
		tb.Fatal(err)
	}
	end, n := 0, tile.N*256
	for i, leaf := range leaves {
		if end += 2 + len(leaf); place < end {
			n += int64(i)
			break
		}
	}
	return n, n
}

// Who holds the database, the log's key and the witnesses' can make another log
// without a flaw. A checkpoint that was kept elsewhere gives it away.
func TestLogAgainstKnown(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 300)
	known := check.Checker{Policy: l.Policy(t), Known: l.Signed(t, 280)}
	rewritten := l.Twin().Fill(t, 300)
	if r := verify(t, check.Checker{Policy: l.Policy(t)}, files(rewritten.Files(t, 300))); r.Verdict != check.Holds {
		t.Fatalf("the forged log in itself: got %+v", r)
	}
	wantFault(t, verify(t, known, files(rewritten.Files(t, 300))), 0, 280)
	wantFault(t, verify(t, known, files(l.Files(t, 270))), 270, 280)
	stranger := audittest.New(t)
	wantFault(t, verify(t, check.Checker{Policy: l.Policy(t), Known: stranger.Signed(t, 0)}, files(l.Files(t, 300))), -1, -1)

	// What is known to be right bounds what may be wrong.
	forged := files(rewritten.Files(t, 300)).changed("checkpoint", l.Witnessed(t, 300))
	for _, name := range []string{leafPath(-1, 0, 300), leafPath(0, 0, 300)} {
		forged[name] = l.Files(t, 300)[name]
	}
	wantFault(t, verify(t, check.Checker{Policy: l.Policy(t), Known: l.Signed(t, 256)}, forged), 256, 300)
}

func TestLogUnwitnessed(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 3)
	r := verify(t, check.Checker{Policy: l.Policy(t)}, files(l.Files(t, 3)).changed("checkpoint", l.Signed(t, 3)))
	if r.Verdict != check.Undecided || r.Fault != nil || len(r.Doubts) != 1 {
		t.Errorf("got %+v, want it undecided", r)
	}
	if r := verify(t, check.Checker{}, files(l.Files(t, 3))); r.Verdict != check.Broken {
		t.Errorf("with no policy: got %+v, want it broken", r)
	}
}

// Leaves of a later version are in the tree all the same.
func TestLogOfALaterVersion(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 2)
	l.Records[1].Leaf = []byte(`{"v":2}`)
	later := l.Regrown(t)
	r := verify(t, check.Checker{Policy: later.Policy(t)}, files(later.Files(t, 2)))
	if r.Verdict != check.Holds || r.Entries.Unread != 1 || len(r.Notes) != 1 {
		t.Errorf("got %+v, want it to hold with one entry unread", r)
	}
}

func TestStamps(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 3)
	authority := audittest.NewAuthority(t, func() time.Time { return l.Clock })
	stranger := audittest.NewAuthority(t, func() time.Time { return l.Clock })
	trusted := check.Checker{Policy: l.Policy(t), Authorities: []*x509.Certificate{authority.Root}}
	of := func(stamp []byte) files { return files(l.Files(t, 3)).changed("timestamp/3.tsr", stamp) }
	signed := l.Signed(t, 3)
	for name, stamp := range map[string][]byte{"a token": authority.Token(t, signed), "a response": authority.Response(t, signed)} {
		r := verify(t, trusted, of(stamp))
		if r.Verdict != check.Holds || r.Stamp == nil || !r.Stamp.Trusted || !r.Stamp.At.Equal(l.Clock) || !strings.Contains(r.Stamp.Authority, "Sellado") {
			t.Errorf("%s: got %+v, %+v", name, r, r.Stamp)
		}
	}
	r := verify(t, check.Checker{Policy: l.Policy(t)}, of(authority.Token(t, signed)))
	if r.Verdict != check.Holds || r.Stamp == nil || r.Stamp.Trusted {
		t.Errorf("no authority given: got %+v, want it to hold, not trusted", r)
	}
	if r := verify(t, trusted, of(nil)); r.Verdict != check.Undecided {
		t.Errorf("no stamp: got %+v, want it undecided", r)
	}
	cut := authority.Token(t, signed)
	for name, stamp := range map[string][]byte{
		"another checkpoint's": authority.Token(t, l.Signed(t, 2)),
		"with cosignatures":    authority.Token(t, l.Witnessed(t, 3)),
		"a stranger's":         stranger.Token(t, signed),
		"cut off":              cut[:len(cut)-1],
	} {
		if r := verify(t, trusted, of(stamp)); r.Verdict != check.Broken || r.Fault.Index != -1 {
			t.Errorf("%s: got %+v, want it broken", name, r)
		}
	}
}

// OpenSSL says the same of the stamp, from the files that are kept.
func TestStampByOpenSSL(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 3)
	authority := audittest.NewAuthority(t, func() time.Time { return l.Clock })
	r := verify(t, check.Checker{Policy: l.Policy(t)}, files(l.Files(t, 3)).changed("timestamp/3.tsr", authority.Response(t, l.Signed(t, 3))))
	dir := t.TempDir()
	judge := func(signed []byte) (string, error) {
		audittest.Write(t, dir, files{"checkpoint": signed, "checkpoint.tst": r.Token, "root.pem": authority.PEM(t)})
		out, err := exec.CommandContext(t.Context(), "openssl", "ts", "-verify", "-attime", "1772355600",
			"-data", filepath.Join(dir, "checkpoint"), "-in", filepath.Join(dir, "checkpoint.tst"), "-token_in", "-CAfile", filepath.Join(dir, "root.pem")).CombinedOutput()
		return string(out), err
	}
	if out, err := judge(r.Signed); err != nil || !strings.Contains(out, "Verification: OK") {
		t.Errorf("openssl ts -verify: %v\n%s", err, out)
	}
	if out, err := judge(l.Signed(t, 2)); err == nil {
		t.Errorf("openssl ts -verify of another checkpoint: got no error\n%s", out)
	}
}

// Over HTTP, and from a directory, the answers are the same.
func TestOpen(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 300)
	c := check.Checker{Policy: l.Policy(t)}
	dir := t.TempDir()
	audittest.Write(t, dir, l.Files(t, 300))
	server := httptest.NewServer(http.StripPrefix("/log", http.FileServer(http.Dir(dir))))
	t.Cleanup(server.Close)
	for _, location := range []string{dir, server.URL + "/log", server.URL + "/log/"} {
		source, err := check.Open(location)
		if err != nil {
			t.Fatal(err)
		}
		if r := verify(t, c, source); r.Verdict != check.Holds || r.Entries.Checked != 300 {
			t.Errorf("%s: got %+v, want it to hold", location, r)
		}
	}
	if err := os.Remove(filepath.Join(dir, filepath.FromSlash(leafPath(-1, 299, 300)))); err != nil {
		t.Fatal(err)
	}
	for _, location := range []string{dir, server.URL + "/log"} {
		source, err := check.Open(location)
		if err != nil {
			t.Fatal(err)
		}
		wantFault(t, verify(t, c, source), 256, 257)
	}
	gone, err := check.Open("http://127.0.0.1:1/log")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if r, err := c.Log(ctx, "gone", gone); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a log that cannot be reached: got %+v %v, want an error that says so", r, err)
	}
}
