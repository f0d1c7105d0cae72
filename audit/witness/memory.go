package witness

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sys/unix"
)

// Names in the directory of a witness.
const (
	keyFile    = "key"
	memoryFile = "state.json"
	lockFile   = "lock"
	forksDir   = "forks"
)

// Errors of the memory.
var (
	// ErrMemory is fatal: a witness that does not know what it cosigned could
	// cosign the contrary.
	ErrMemory = errors.New("the witness does not know what it cosigned, and must not go on under its key")
	// ErrHeld means that another process works with the directory.
	ErrHeld = errors.New("another process is this witness")
	// ErrExists is an Init over a witness that is there.
	ErrExists = errors.New("there is a witness already")
)

// held is the newest checkpoint of a log that was cosigned.
type held struct {
	torchwood.Checkpoint

	id   string // by which monitors ask for it
	note []byte // with the log's signatures and the witness's own
	at   time.Time
}

// OriginHash is by what name monitors ask for a log's checkpoint (C2SP
// tlog-witness, "Monitor Retrieval Mechanism").
func OriginHash(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(sum[:])
}

// memory is the content of the file: the newest cosigned checkpoint of each log,
// as monitors see it, and nothing that could disagree with that.
type memory struct {
	Witness     string   `json:"witness"` // verifier key
	Checkpoints []string `json:"checkpoints"`
}

// encodeMemory writes the logs in the order of their names.
func encodeMemory(vkey string, logs map[string]held) ([]byte, error) {
	m := memory{Witness: vkey, Checkpoints: []string{}}
	for _, h := range logs {
		m.Checkpoints = append(m.Checkpoints, string(h.note))
	}
	slices.Sort(m.Checkpoints) // which begin with the origin
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(m); err != nil {
		return nil, fmt.Errorf("encoding the state: %w", err)
	}
	return b.Bytes(), nil
}

// parseMemory accepts what encodeMemory wrote, and nothing else. Each
// checkpoint carries the witness's own cosignature, which must hold.
func parseMemory(text []byte) (vkey string, logs map[string]held, err error) {
	var m memory
	if err := json.Unmarshal(text, &m); err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrMemory, err)
	}
	verifier, err := torchwood.NewCosignatureVerifier(m.Witness)
	if err != nil {
		return "", nil, fmt.Errorf("%w: key of the witness: %w", ErrMemory, err)
	}
	logs = make(map[string]held)
	for _, signed := range m.Checkpoints {
		h, err := parseHeld(signed, verifier)
		if err != nil {
			return "", nil, fmt.Errorf("%w: %w", ErrMemory, err)
		}
		if _, twice := logs[h.Origin]; twice {
			return "", nil, fmt.Errorf("%w: %q stands there twice", ErrMemory, h.Origin)
		}
		logs[h.Origin] = h
	}
	again, err := encodeMemory(verifier.String(), logs)
	if err == nil && !bytes.Equal(again, text) {
		err = fmt.Errorf("%w: the file is not as the witness writes it", ErrMemory)
	}
	return m.Witness, logs, err
}

func parseHeld(signed string, verifier note.Verifier) (held, error) {
	opened, err := note.Open([]byte(signed), note.VerifierList(verifier))
	if err != nil {
		return held{}, fmt.Errorf("a checkpoint without the witness's cosignature: %w", err)
	}
	c, err := torchwood.ParseCheckpoint(opened.Text)
	if err != nil {
		return held{}, err
	}
	seconds, err := torchwood.CosignatureTimestamp(opened.Sigs[0])
	if err != nil {
		return held{}, err
	}
	return held{Checkpoint: c, id: OriginHash(c.Origin), note: []byte(signed), at: time.Unix(seconds, 0).UTC()}, nil
}

// readMemory never takes a file that is not there for one that is empty.
func readMemory(dir string) (vkey string, logs map[string]held, err error) {
	text, err := os.ReadFile(filepath.Join(dir, memoryFile))
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrMemory, err)
	}
	vkey, logs, err = parseMemory(text)
	if err != nil {
		return "", nil, fmt.Errorf("reading %s: %w", filepath.Join(dir, memoryFile), err)
	}
	return vkey, logs, nil
}

// writeFile puts a file in place whole: whoever reads it, after a power cut
// too, finds the one before or this one.
func writeFile(dir, name string, content []byte) (err error) {
	path := filepath.Join(dir, "."+name+".new") // one writer at a time: the lock's holder
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := os.Rename(path, filepath.Join(dir, name)); err != nil {
		return fmt.Errorf("putting %s in place: %w", name, err)
	}
	return syncDir(dir)
}

// syncDir makes names of files last.
func syncDir(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("opening the directory: %w", err)
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("syncing the directory: %w", err)
	}
	return nil
}

// hold takes the directory for this process. The kernel lets go of it when the
// process ends, however it ends.
func hold(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock: %w", err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("%w: %s", ErrHeld, dir)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// Init makes a witness in a directory, its key and an empty memory, and returns
// its verifier key. It refuses a directory with a key: a witness that has
// forgotten is another witness.
func Init(dir, name string) (vkey string, err error) {
	k, err := generateKey(strings.TrimSpace(name))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(dir, forksDir), 0o700); err != nil {
		return "", fmt.Errorf("making the directory: %w", err)
	}
	lock, err := hold(dir)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := vacant(dir); err != nil {
		return "", err
	}
	content, err := encodeMemory(k.verifier.String(), nil)
	if err != nil {
		return "", err
	}
	secret, err := k.encode()
	if err != nil {
		return "", err
	}
	// The key comes last: without it nothing was ever cosigned.
	if err := writeFile(dir, memoryFile, content); err != nil {
		return "", err
	}
	return k.verifier.String(), writeFile(dir, keyFile, []byte(secret))
}

// vacant refuses a directory in which there is or was a witness. What an
// interrupted Init left, a memory of nothing without a key, may be replaced.
func vacant(dir string) error {
	_, err := os.Lstat(filepath.Join(dir, keyFile))
	if !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("%w: %s", ErrExists, filepath.Join(dir, keyFile)), err)
	}
	_, logs, err := readMemory(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(logs) > 0:
		return fmt.Errorf("%w: %s", ErrExists, filepath.Join(dir, memoryFile))
	}
	return nil
}
