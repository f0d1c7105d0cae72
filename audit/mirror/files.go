package mirror

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/rubrica-firma/rubrica/audit/check"
)

// requests is how many tiles are asked for at once.
const requests = 32

// tiles reads tiles from a log, and writes those that were verified into a
// directory, if it has one.
type tiles struct {
	source  check.Source
	dir     string
	written map[tlog.Tile]bool
	err     error // the first of writing
}

var _ torchwood.TileReader = (*tiles)(nil)

// ReadEndpoint implements torchwood.TileReader.
func (t *tiles) ReadEndpoint(ctx context.Context, path string) ([]byte, error) {
	return t.source.ReadEndpoint(ctx, path)
}

// ReadTiles implements torchwood.TileReader.
func (t *tiles) ReadTiles(ctx context.Context, wanted []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(wanted))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(requests)
	for i, tile := range wanted {
		group.Go(func() error {
			path := torchwood.TilePath(tile)
			read, err := t.source.ReadEndpoint(ctx, path)
			switch {
			case err != nil:
				return err
			case len(read) == 0:
				return fmt.Errorf("%s is not there", path)
			case tile.L >= 0 && len(read) != tile.W*tlog.HashSize:
				return fmt.Errorf("%s has %d octets", path, len(read))
			}
			data[i] = read
			return nil
		})
	}
	return data, group.Wait()
}

// SaveTiles implements torchwood.TileReader: these are verified.
func (t *tiles) SaveTiles(verified []tlog.Tile, data [][]byte) {
	if t.dir == "" {
		return
	}
	for i, tile := range verified {
		if t.err != nil || t.written[tile] {
			continue
		}
		t.err = place(t.dir, torchwood.TilePath(tile), data[i])
		t.written[tile] = t.err == nil
	}
}

// place puts a file in its place whole, or not at all. It may be gone if the
// power fails before settle.
func place(dir, name string, data []byte) error {
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // the log is public
		return fmt.Errorf("writing %s: %w", name, err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Chmod(0o644), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", name, err), os.Remove(file.Name()))
	}
	return nil
}

// settle makes what was written below a directory outlive a power failure: at
// once, where a sync of each of thousands of files would take minutes.
func settle(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("opening %s: %w", name, err)
	}
	if err := errors.Join(unix.Syncfs(int(dir.Fd())), dir.Close()); err != nil {
		return fmt.Errorf("syncing %s: %w", name, err)
	}
	return nil
}
