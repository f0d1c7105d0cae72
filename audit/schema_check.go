package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
)

var (
	hexForm = regexp.MustCompile(`^[0-9a-f]+$`)
	// phoneForm and mailForm leave nothing to be called or written to.
	phoneForm = regexp.MustCompile(`^···( ··· [0-9]{3})?$`)
	mailForm  = regexp.MustCompile(`^.···@[^@]+$`)
)

// check reports why a payload does not fit the schema, nil if it does. It is
// for entries that are written: those of older versions are read as they are.
func (s Schema) check(payload map[string]any) error {
	fields := append(slices.Clip(s.Fields), optional(personKey, KindString, ""))
	return checkFields(fields, payload)
}

func checkFields(fields []Field, values map[string]any) error {
	known := 0
	for _, f := range fields {
		value, there := values[f.Name]
		switch {
		case there:
			known++
			if err := f.check(value); err != nil {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
		case !f.Optional:
			return fmt.Errorf("%s is missing", f.Name)
		}
	}
	if known == len(values) {
		return nil
	}
	for name := range values {
		if !hasField(fields, name) {
			return fmt.Errorf("%s is not a field of it", name)
		}
	}
	return nil
}

func hasField(fields []Field, name string) bool {
	for _, f := range fields {
		if f.Name == name {
			return true
		}
	}
	return false
}

func (f Field) check(value any) error {
	switch f.Kind {
	case KindObject:
		values, ok := value.(map[string]any)
		if !ok {
			return fmt.Errorf("want an object, have %T", value)
		}
		return checkFields(f.Fields, values)
	case KindList:
		return f.checkList(value)
	default:
		if err := checkKind(f.Kind, value); err != nil {
			return err
		}
	}
	if text, ok := value.(string); ok && f.Values != nil && !slices.Contains(f.Values, text) {
		return fmt.Errorf("want one of %v, have another word", f.Values)
	}
	return nil
}

// checkList takes null for a list without entries, as Go writes it.
func (f Field) checkList(value any) error {
	values, ok := value.([]any)
	if !ok && value != nil {
		return fmt.Errorf("want a list, have %T", value)
	}
	one := Field{Kind: f.Each, Fields: f.Fields, Values: f.Values}
	if one.Kind == "" {
		one.Kind = KindObject
	}
	for i, v := range values {
		if err := one.check(v); err != nil {
			return fmt.Errorf("at %d: %w", i, err)
		}
	}
	return nil
}

var errWords = errors.New("want an object of strings")

func checkKind(kind Kind, value any) error {
	switch v := value.(type) {
	case string:
		return checkText(kind, v)
	case json.Number:
		if kind == KindInteger {
			return nil // that it is whole has been looked at
		}
	case bool:
		if kind == KindBoolean {
			return nil
		}
	case map[string]any:
		if kind != KindWords {
			break
		}
		for _, word := range v {
			if _, ok := word.(string); !ok {
				return errWords
			}
		}
		return nil
	case nil:
		if kind == KindWords {
			return nil
		}
	}
	return fmt.Errorf("want %s, have %T", kind, value)
}

func checkText(kind Kind, text string) error {
	ok := false
	switch kind {
	case KindString:
		ok = true
	case KindTime:
		_, err := time.Parse(time.RFC3339Nano, text)
		ok = err == nil
	case KindDate:
		_, err := time.Parse(time.DateOnly, text)
		ok = err == nil
	case KindHex:
		ok = hexForm.MatchString(text)
	case KindPhone:
		ok = phoneForm.MatchString(text)
	case KindMail:
		ok = mailForm.MatchString(text)
	case KindInteger, KindBoolean, KindWords, KindObject, KindList:
	}
	if !ok {
		return fmt.Errorf("want %s, have another text", kind)
	}
	return nil
}
