package auditing

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/audit"
)

// personKey is where a payload commits to whom it is about.
const personKey = "person"

// entries judges records. All that come in go out.
func (s *Service) entries(ctx context.Context, records []audit.Record) ([]Entry, error) {
	hashes, err := s.leafHashes(ctx, records)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(records))
	for i, r := range records {
		entries[i] = judge(r)
		entries[i].Intact = entries[i].Intact && tlog.RecordHash(r.Leaf) == hashes[i]
		if !entries[i].Intact {
			entries[i].Facts = nil
		}
	}
	return entries, nil
}

// leafHashes are what the tree says that the records' leaves are.
func (s *Service) leafHashes(ctx context.Context, records []audit.Record) ([]tlog.Hash, error) {
	if len(records) == 0 {
		return nil, nil
	}
	indexes := make([]int64, len(records))
	for i, r := range records {
		indexes[i] = tlog.StoredHashIndex(0, r.Seq)
	}
	hashes, err := s.Store.ReadHashes(ctx, indexes)
	if err == nil && len(hashes) != len(records) {
		err = fmt.Errorf("asked for %d, got %d", len(records), len(hashes))
	}
	if err != nil {
		return nil, fmt.Errorf("reading the hashes of entries: %w", err)
	}
	return hashes, nil
}

// judge is an entry without the tree's word on it.
func judge(r audit.Record) Entry {
	e := Entry{
		Seq: r.Seq, Type: r.Type, Operation: r.Operation, At: r.At, Person: r.Person, Result: audit.ResultOf(r.Type),
		Leaf: r.Leaf, Payload: r.Payload, Salt: r.Salt,
	}
	leaf, err := audit.ParseLeaf(r.Leaf)
	if err != nil || leaf.Type != r.Type || leaf.Operation != r.Operation || !leaf.At.Equal(r.At) {
		return e
	}
	if len(r.Salt) == 0 {
		e.Erased = true
		e.Intact = len(r.Payload) == 0 && r.Person == ""
		return e
	}
	payload, err := r.Open()
	if err != nil {
		return e
	}
	facts, err := decode(payload)
	if err != nil {
		return e
	}
	person, _ := facts[personKey].(string)
	delete(facts, personKey)
	e.Facts, e.Intact = facts, person == r.Person
	return e
}

// decode keeps numbers as they were written.
func decode(payload []byte) (facts map[string]any, err error) {
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	if err := d.Decode(&facts); err != nil {
		return nil, fmt.Errorf("reading a payload: %w", err)
	}
	return facts, nil
}
