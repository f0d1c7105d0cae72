package witness

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Logs are the logs that a witness watches: which keys it trusts for each
// origin.
type Logs struct {
	keys map[string][]note.Verifier
}

var errLogs = errors.New("list of logs")

// ParseLogs reads lines "log VKEY", as in a C2SP tlog-policy; the key's name is
// the origin. Two keys of one name are one log that changes its key; one key of
// two names is a log that goes on under another. The lines that a policy has
// beside those (witness, group, quorum) are passed over, so that a policy file
// will do.
func ParseLogs(text []byte) (Logs, error) {
	logs := Logs{keys: make(map[string][]note.Verifier)}
	seen := make(map[string]bool)
	for i, line := range strings.Split(string(text), "\n") {
		fields := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
		switch {
		case len(fields) == 0 || strings.HasPrefix(fields[0], "#"):
			continue
		case slices.Contains([]string{"witness", "group", "quorum"}, fields[0]):
			continue
		case fields[0] != "log" || len(fields) < 2 || len(fields) > 3: // the third is an address
			return Logs{}, fmt.Errorf("%w: line %d: want log VKEY", errLogs, i+1)
		}
		verifier, err := note.NewVerifier(fields[1])
		if err != nil {
			return Logs{}, fmt.Errorf("%w: line %d: key, of type Ed25519: %w", errLogs, i+1, err)
		}
		public, err := publicOf(fields[1])
		if err != nil {
			return Logs{}, fmt.Errorf("%w: line %d: %w", errLogs, i+1, err)
		}
		stands := verifier.Name() + " " + public
		if seen[stands] {
			return Logs{}, fmt.Errorf("%w: line %d: this log stands twice", errLogs, i+1)
		}
		seen[stands] = true
		logs.keys[verifier.Name()] = append(logs.keys[verifier.Name()], verifier)
	}
	if len(logs.keys) == 0 {
		return Logs{}, fmt.Errorf("%w: it names no log", errLogs)
	}
	return logs, nil
}

// publicOf is what two verifier keys of one key have in common.
func publicOf(vkey string) (string, error) {
	parts := strings.SplitN(vkey, "+", 3) // base64 may hold a + as well
	material, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(material) == 0 {
		return "", errors.New("the key is not in base64")
	}
	return string(material[1:]), nil
}

// Origins are the names of the logs, sorted.
func (l Logs) Origins() []string {
	var origins []string
	for origin := range l.keys {
		origins = append(origins, origin)
	}
	slices.Sort(origins)
	return origins
}
