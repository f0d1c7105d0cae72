package check_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/check"
	"github.com/rubrica-firma/rubrica/internal/audittest"
)

// TestForeignVerdict has Tessera's fsck judge what we serve, good and tampered
// with. It is asked for its words, within a time: on some logs it stays waiting.
func TestForeignVerdict(t *testing.T) {
	t.Parallel()
	const size, at = 600, 300
	l := audittest.New(t).Fill(t, size)
	honest := files(l.Files(t, size))
	bundle, tile := leafPath(-1, at, size), leafPath(0, at, size)
	edited, hash := bytes.Clone(honest[bundle]), bytes.Clone(honest[tile])
	edited[5000] ^= 1
	hash[32*(at-256)] ^= 1
	rewritten := files(l.Twin().Fill(t, size).Files(t, size))
	for name, tc := range map[string]struct {
		served  files
		foreign string // in what fsck says; empty if it finds nothing
		ours    check.Verdict
		knowing check.Verdict // with an older checkpoint in hand
	}{
		"honest":               {served: honest, ours: check.Holds, knowing: check.Holds},
		"leaf edited":          {served: honest.changed(bundle, edited), foreign: ": log has:", ours: check.Broken, knowing: check.Broken},
		"tile edited":          {served: honest.changed(tile, hash), foreign: ": log has:", ours: check.Broken, knowing: check.Broken},
		"bundle of another":    {served: honest.changed(bundle, rewritten[bundle]), foreign: ": log has:", ours: check.Broken, knowing: check.Broken},
		"checkpoint of others": {served: honest.changed("checkpoint", rewritten["checkpoint"]), foreign: "root", ours: check.Broken, knowing: check.Broken},
		// Whoever has all keys deceives every tool but who kept something.
		"rewritten with all keys": {served: rewritten, ours: check.Holds, knowing: check.Broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			audittest.Write(t, dir, tc.served)
			err := judge(t, l, dir)
			if tc.foreign == "" && err != nil || tc.foreign != "" && (err == nil || !strings.Contains(err.Error(), tc.foreign)) {
				t.Errorf("fsck: got %.120v, want %q in it", err, tc.foreign)
			}
			c := check.Checker{Policy: l.Policy(t)}
			if r := verify(t, c, tc.served); r.Verdict != tc.ours {
				t.Errorf("check: got %+v, want %s", r, tc.ours)
			}
			c.Known = l.Signed(t, 280)
			if r := verify(t, c, tc.served); r.Verdict != tc.knowing {
				t.Errorf("check, knowing an older checkpoint: got %+v, want %s", r, tc.knowing)
			}
		})
	}
}

// judge is fsck's opinion of a directory.
func judge(tb testing.TB, l *audittest.Log, dir string) error {
	tb.Helper()
	verifier, err := note.NewVerifier(l.Key(tb).VerifierKey())
	must(tb, err)
	leaves := func(bundle []byte) (hashes [][]byte, err error) {
		n := 0
		for rest := bundle; len(rest) > 1; n++ {
			length := int(rest[0])<<8 | int(rest[1])
			rest = rest[min(len(rest), 2+length):]
		}
		entries, err := audit.Unbundle(bundle, n)
		for _, e := range entries {
			h := tlog.RecordHash(e)
			hashes = append(hashes, h[:])
		}
		return hashes, err
	}
	ctx, cancel := context.WithTimeout(tb.Context(), 20*time.Second)
	defer cancel()
	verdict := make(chan error, 1)
	go func() {
		verdict <- fsck.New(l.Origin, verifier, client.FileFetcher{Root: dir}, leaves, fsck.Opts{N: 16}).Check(ctx)
	}()
	select {
	case err := <-verdict:
		return err
	case <-ctx.Done():
		return errors.Join(errors.New("fsck did not come to an end"), ctx.Err())
	}
}
