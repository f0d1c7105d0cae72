package audit_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"filippo.io/torchwood"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/internal/audittest"
)

// The tiles are enough for a client that knows nothing but them.
func TestTilesServeAClient(t *testing.T) {
	t.Parallel()
	l := audittest.New(t).Fill(t, 600)
	for _, size := range []int64{1, 255, 256, 257, 511, 512, 600} {
		files := l.Files(t, size)
		client, err := torchwood.NewClient(served(files))
		if err != nil {
			t.Fatal(err)
		}
		tree := l.Tree(t, size)
		var seen int64
		for seq, leaf := range client.AllEntries(t.Context(), tlog.Tree{N: size, Hash: tree.Root}, 0) {
			if seq != seen || !bytes.Equal(leaf, l.Records[seq].Leaf) {
				t.Fatalf("size %d, entry %d: got %d %q, want %q", size, seen, seq, leaf, l.Records[seen].Leaf)
			}
			seen++
		}
		if err := client.Err(); err != nil || seen != size {
			t.Errorf("size %d: got %d entries and %v", size, seen, err)
		}
	}
}

// served implements torchwood.TileReader.
type served map[string][]byte

func (s served) ReadTiles(_ context.Context, tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, t := range tiles {
		var ok bool
		if data[i], ok = s[torchwood.TilePath(t)]; !ok {
			return nil, errors.New("no " + torchwood.TilePath(t))
		}
	}
	return data, nil
}
func (served) SaveTiles([]tlog.Tile, [][]byte) {}
func (s served) ReadEndpoint(_ context.Context, path string) ([]byte, error) {
	return s[path], nil
}

// The example of C2SP tlog-tiles, "Partial Tiles".
func TestTilesOfTheNorm(t *testing.T) {
	t.Parallel()
	got := map[[2]int]int{} // by level and width
	for _, tile := range audit.Tiles(0, 70_000) {
		got[[2]int{tile.L, tile.W}]++
	}
	want := map[[2]int]int{{-1, 256}: 273, {-1, 112}: 1, {0, 256}: 273, {0, 112}: 1, {1, 256}: 1, {1, 17}: 1, {2, 1}: 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("70,000 entries (-want +got):\n%s", diff)
	}
}

// A tile is served if, and only if, a tree of up to that size asks for it.
func TestTileServesWhatSizesAskFor(t *testing.T) {
	t.Parallel()
	const size = 300
	l := audittest.New(t).Fill(t, size)
	asked := map[tlog.Tile]bool{}
	for n := range int64(size + 1) {
		for _, tile := range audit.Tiles(0, n) {
			asked[tile] = true
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		tile := tlog.Tile{
			H: 8, L: rapid.IntRange(-1, 2).Draw(rt, "level"),
			N: rapid.Int64Range(-1, 2).Draw(rt, "number"), W: rapid.IntRange(-1, 257).Draw(rt, "width"),
		}
		var err error
		if tile.L < 0 {
			_, _, err = audit.BundleRange(size, tile)
		} else {
			_, err = audit.Tile(t.Context(), size, tile, l)
		}
		if (err == nil) != asked[tile] || err != nil && !errors.Is(err, audit.ErrNoTile) {
			rt.Errorf("%+v: got %v, want it served: %v", tile, err, asked[tile])
		}
	})
	for _, tile := range []tlog.Tile{{H: 4, L: 0, N: 0, W: 1}, {H: 8, L: 63, N: 0, W: 1}, {H: 8, L: 0, N: 1 << 62, W: 1}, {H: 8, L: 2, N: 1 << 55, W: 256}} {
		if _, err := audit.Tile(t.Context(), size, tile, l); !errors.Is(err, audit.ErrNoTile) {
			t.Errorf("%+v: got %v, want ErrNoTile", tile, err)
		}
	}
}

func TestBundle(t *testing.T) {
	t.Parallel()
	leaves := [][]byte{[]byte("one"), {}, []byte("three")}
	bundle, err := audit.Bundle(leaves)
	if err != nil {
		t.Fatal(err)
	}
	if want := []byte("\x00\x03one\x00\x00\x00\x05three"); !bytes.Equal(bundle, want) {
		t.Errorf("got %q, want %q", bundle, want)
	}
	for _, bad := range [][][]byte{nil, make([][]byte, 257), {make([]byte, 1<<16)}} {
		if got, err := audit.Bundle(bad); err == nil {
			t.Errorf("%d leaves: got %d octets, want an error", len(bad), len(got))
		}
	}
	if got, err := audit.Unbundle(bundle, 3); err != nil || !slices.EqualFunc(got, leaves, bytes.Equal) {
		t.Errorf("read again: got %q %v, want %q", got, err, leaves)
	}
	for n, want := range map[int]int{2: 2, 4: 3} {
		if got, err := audit.Unbundle(bundle, n); !errors.Is(err, audit.ErrBundle) || len(got) != want {
			t.Errorf("as %d: got %q %v, want %d and ErrBundle", n, got, err, want)
		}
	}
}

func FuzzUnbundle(f *testing.F) {
	f.Add([]byte("\x00\x03one\x00\x00"), 2)
	f.Add([]byte("\xff\xff"), 1)
	f.Add([]byte{}, 0)
	f.Fuzz(func(t *testing.T, bundle []byte, n int) {
		if n < 0 || n > 256 {
			return
		}
		leaves, err := audit.Unbundle(bundle, n)
		if err != nil || n == 0 {
			return
		}
		if again, err := audit.Bundle(leaves); err != nil || !bytes.Equal(again, bundle) {
			t.Errorf("got %q %v, want %q again", again, err, bundle)
		}
	})
}
