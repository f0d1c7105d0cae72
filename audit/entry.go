package audit

import (
	"encoding/json"
	"encoding/json/jsontext"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Entry is one event, as the code that causes it describes it.
type Entry struct {
	Type EventType
	// Operation is the id of the request, citizen or key ceremony that the
	// event belongs to. It is public: random, never a person's number.
	Operation string
	At        time.Time
	// Person is whom the event is about, empty if nobody. It is part of the
	// committed payload and goes with it when that is erased.
	Person string
	// Payload holds the facts that the type's Schema asks for: strings, booleans,
	// whole numbers, and lists and maps of them, under names of lower-case
	// letters, digits and underscores.
	Payload map[string]any
}

// personKey is where the payload commits to the person.
const personKey = "person"

// ErrPayload is a mistake of the calling code: an entry that is incomplete,
// cannot be written canonically or would put a secret into the log.
var ErrPayload = errors.New("entry not fit for the log")

var (
	operationForm = regexp.MustCompile(`^[0-9A-Za-z._:-]{1,128}$`)
	keyForm       = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

// canonical is the committed form of person and payload: JSON of RFC 8785.
func (e Entry) canonical() ([]byte, error) {
	switch {
	case !e.Type.Known():
		return nil, fmt.Errorf("%w: unknown type %q", ErrPayload, e.Type)
	case !operationForm.MatchString(e.Operation):
		return nil, fmt.Errorf("%w: %s without a well-formed operation", ErrPayload, e.Type)
	case e.At.IsZero():
		return nil, fmt.Errorf("%w: %s without a time", ErrPayload, e.Type)
	}
	if _, taken := e.Payload[personKey]; taken {
		return nil, fmt.Errorf("%w: %s sets %q, which is the entry's", ErrPayload, e.Type, personKey)
	}
	committed := maps.Clone(e.Payload)
	if e.Person != "" {
		if committed == nil {
			committed = make(map[string]any, 1)
		}
		committed[personKey] = e.Person
	}
	return canonicalJSON(e.Type, committed)
}

func canonicalJSON(kind EventType, payload map[string]any) ([]byte, error) {
	if payload == nil {
		payload = map[string]any{}
	}
	encoded, err := json.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: encoding %s: %w", ErrPayload, kind, err)
	}
	if err := checkPayload(kind, encoded); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrPayload, kind, err)
	}
	value := jsontext.Value(encoded)
	if err := value.Canonicalize(); err != nil {
		return nil, fmt.Errorf("%w: canonicalising %s: %w", ErrPayload, kind, err)
	}
	return value, nil
}

// checkPayload walks what will be written, not the Go values, so that no type
// with an encoding of its own escapes it.
func checkPayload(kind EventType, encoded []byte) error {
	decoder := json.NewDecoder(strings.NewReader(string(encoded)))
	decoder.UseNumber()
	var values map[string]any
	if err := decoder.Decode(&values); err != nil {
		return fmt.Errorf("reading the payload again: %w", err)
	}
	if err := checkValue(values); err != nil {
		return err
	}
	schema, _ := SchemaOf(kind)
	return schema.check(values)
}

func checkValue(value any) error {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			if !keyForm.MatchString(key) {
				return fmt.Errorf("name %q is not lower-case letters, digits and underscores", key)
			}
			if namesSecret(key) {
				return fmt.Errorf("name %q is a secret's", key)
			}
			if err := checkValue(inner); err != nil {
				return fmt.Errorf("in %s: %w", key, err)
			}
		}
	case []any:
		for _, inner := range v {
			if err := checkValue(inner); err != nil {
				return err
			}
		}
	case json.Number:
		// RFC 8785 writes numbers as IEEE 754 doubles: beyond 2^53 another
		// implementation would read another number.
		if n, err := strconv.ParseInt(v.String(), 10, 64); err != nil || n > 1<<53 || n < -1<<53 {
			return fmt.Errorf("number %s is not whole and below 2^53", v)
		}
	}
	return nil
}

// namesSecret is whether one word of a name is a secret's, so that a slip of
// the pen does not put one into a log that cannot be rewritten.
func namesSecret(key string) bool {
	return slices.ContainsFunc(strings.Split(key, "_"), func(word string) bool {
		switch strings.TrimSuffix(word, "s") {
		case "password", "passwd", "code", "otp", "pin", "token", "secret", "ticket", "sad", "salt", "cookie":
			return true
		}
		return false
	})
}
