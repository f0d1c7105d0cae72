package audit

import (
	"context"
	"errors"
	"fmt"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"
)

// ErrNoTile is a tile that no tree up to the size asks for, and which is
// therefore not served (C2SP tlog-tiles, "Partial Tiles").
var ErrNoTile = errors.New("no tree of this size has such a tile")

// Tile is a tile of hashes as it is served under tile/<L>/<N>[.p/<W>] by a log
// of size entries. torchwood.ParseTilePath reads such a path. Partial tiles of
// smaller sizes are given as well: somebody may hold an older checkpoint.
func Tile(ctx context.Context, size int64, t tlog.Tile, stored HashReader) ([]byte, error) {
	if t.L < 0 {
		return nil, fmt.Errorf("%w: %s holds entries", ErrNoTile, torchwood.TilePath(t))
	}
	if _, err := tileEnd(size, t); err != nil {
		return nil, err
	}
	data, err := tlog.ReadTileData(t, bind(ctx, stored))
	if err != nil {
		return nil, fmt.Errorf("reading tile %s: %w", torchwood.TilePath(t), err)
	}
	return data, nil
}

// BundleRange is which entries [from, to) an entry bundle holds.
func BundleRange(size int64, t tlog.Tile) (from, to int64, err error) {
	if t.L != -1 {
		return 0, 0, fmt.Errorf("%w: level %d holds no entries", ErrNoTile, t.L)
	}
	t.L = 0 // one entry a hash
	to, err = tileEnd(size, t)
	return to - int64(t.W), to, err
}

// tileEnd is the number, at its level, of the hash after the tile's last.
func tileEnd(size int64, t tlog.Tile) (int64, error) {
	if size < 0 || t.H != torchwood.TileHeight || t.L < 0 || t.N < 0 || t.W < 1 || t.W > torchwood.TileWidth {
		return 0, fmt.Errorf("%w: %+v", ErrNoTile, t)
	}
	// A level's hashes are those of whole tiles of the level below: what remains
	// on the right is in none.
	hashes := size >> (torchwood.TileHeight * t.L)
	if t.N > hashes>>torchwood.TileHeight || t.N<<torchwood.TileHeight+int64(t.W) > hashes {
		return 0, fmt.Errorf("%w: %s of %d entries", ErrNoTile, torchwood.TilePath(t), size)
	}
	return t.N<<torchwood.TileHeight + int64(t.W), nil
}

// Bundle is an entry bundle as it is served under tile/entries/<N>[.p/<W>]: the
// leaves that BundleRange names.
func Bundle(leaves [][]byte) ([]byte, error) {
	if len(leaves) == 0 || len(leaves) > torchwood.TileWidth {
		return nil, fmt.Errorf("%w: a bundle of %d entries", ErrNoTile, len(leaves))
	}
	var bundle []byte
	for i, leaf := range leaves {
		var err error
		if bundle, err = torchwood.AppendTileEntry(bundle, leaf); err != nil {
			return nil, fmt.Errorf("bundling entry %d of %d: %w", i, len(leaves), err)
		}
	}
	return bundle, nil
}

// ErrBundle is an entry bundle that does not hold its entries.
var ErrBundle = errors.New("entry bundle is damaged")

// Unbundle reads the n leaves of a bundle, which they fill. If some cannot be
// read, those before them are returned with the error.
func Unbundle(bundle []byte, n int) ([][]byte, error) {
	leaves := make([][]byte, 0, n)
	for range n {
		leaf, rest, err := torchwood.ReadTileEntry(bundle)
		if err != nil {
			return leaves, fmt.Errorf("%w: it holds %d entries of %d", ErrBundle, len(leaves), n)
		}
		leaves, bundle = append(leaves, leaf), rest
	}
	if len(bundle) > 0 {
		return leaves, fmt.Errorf("%w: %d octets after its %d entries", ErrBundle, len(bundle), n)
	}
	return leaves, nil
}

// Tiles are the tiles that a log of size entries serves and one of size older
// did not, entry bundles before their hashes, partial ones included.
func Tiles(older, size int64) []tlog.Tile {
	var tiles []tlog.Tile
	for _, t := range tlog.NewTiles(torchwood.TileHeight, older, size) {
		if t.L == 0 {
			bundle := t
			bundle.L = -1
			tiles = append(tiles, bundle)
		}
		tiles = append(tiles, t)
	}
	return tiles
}
