package publication

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rubrica-firma/rubrica/audit"
)

// State is a small file outside the database with the last checkpoint that is
// known to have been signed: a database that was put back, or written anew, does
// not agree with it. It may be read by all and is worth nothing to a thief.
type State struct {
	path string

	mu sync.Mutex
}

// OpenState names the file; it need not be there yet. Without a path nothing is
// kept.
func OpenState(path string) *State { return &State{path: path} }

// Load gives the note, nil if there is none. Whether it was signed by the log is
// for the caller to see.
func (s *State) Load() ([]byte, error) {
	if s.path == "" {
		return nil, nil
	}
	note, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the log's state: %w", err)
	}
	return note, nil
}

// Save keeps the note of a checkpoint, on the disk when it returns. An older one
// of the same log changes nothing.
func (s *State) Save(c audit.Checkpoint, note []byte) error {
	if s.path == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, err := s.Load()
	if err != nil {
		return err
	}
	if k, err := textOf(kept); err == nil && k.Origin == c.Origin && k.Size >= c.Size {
		return nil
	}
	if err := replace(s.path, note); err != nil {
		return fmt.Errorf("writing the log's state: %w", err)
	}
	return nil
}

// textOf reads a note without believing it.
func textOf(note []byte) (audit.Checkpoint, error) {
	text, _, _ := strings.Cut(string(note), "\n\n")
	return audit.ParseCheckpoint(text + "\n")
}

// replace writes a file whole or not at all, also when the power fails.
func replace(path string, content []byte) error {
	dir := filepath.Dir(path)
	file, err := os.CreateTemp(dir, filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
