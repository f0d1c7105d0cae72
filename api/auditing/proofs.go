package auditing

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/audit/publication"
	"github.com/rubrica-firma/rubrica/policies"
)

// Entry is one entry by its number, with the proof of its place
// (policies.NotFound).
func (s *Service) Entry(ctx context.Context, a Asking, seq int64) (Single, error) {
	if err := admit(a); err != nil {
		return Single{}, err
	}
	if seq < 0 || seq > largest {
		return Single{}, policies.Refuse(policies.RangeImpossible)
	}
	size, err := s.record(ctx, a, askedEntry, map[string]any{"entry": seq})
	if err != nil {
		return Single{}, err
	}
	if seq >= size {
		return Single{}, policies.Refuse(policies.NotFound)
	}
	matches, err := s.Store.Search(ctx, audit.Filter{}, audit.Stretch{From: seq, To: seq + 1, Limit: 1})
	if err != nil {
		return Single{}, fmt.Errorf("reading an entry: %w", err)
	}
	if len(matches.Records) == 0 {
		// Numbers have no gaps: it was there.
		return Single{Entry: Entry{Seq: seq}}, nil
	}
	entries, err := s.entries(ctx, matches.Records)
	if err != nil {
		return Single{}, err
	}
	single := Single{Entry: entries[0]}
	return single, s.prove(ctx, matches.Records[0], &single)
}

// prove adds the proof under the newest checkpoint that a quorum has witnessed,
// or the newest signed one while there is none that holds the entry.
func (s *Service) prove(ctx context.Context, r audit.Record, single *Single) error {
	checkpoint, err := s.checkpoint(ctx, 0)
	if none := errors.Is(err, policies.Refuse(policies.CheckpointMissing)); err != nil && !none {
		return err
	}
	single.Witnessed = checkpoint.Size > r.Seq
	if !single.Witnessed {
		if checkpoint, err = s.newest(ctx); err != nil || checkpoint.Size <= r.Seq {
			return err
		}
	}
	proof, err := audit.NewProof(ctx, r, checkpoint.Note, s.Store)
	if err != nil {
		return err
	}
	if audit.CheckInclusion(proof.Path, checkpoint.Tree, r.Seq, r.Leaf) != nil {
		single.Entry.Intact, single.Entry.Facts = false, nil
	}
	single.Proof, err = proof.Text()
	return err
}

// origin is the name of the log, empty before it has one.
func (s *Service) origin(ctx context.Context) (publication.Tree, error) {
	trees, err := s.Store.Trees(ctx)
	if err != nil || len(trees) == 0 {
		return publication.Tree{}, err
	}
	return trees[len(trees)-1], nil
}

// checkpoint is the newest witnessed one, or that of a size. What the database
// says of witnesses counts for nothing: their signatures do
// (policies.CheckpointMissing).
func (s *Service) checkpoint(ctx context.Context, size int64) (publication.Published, error) {
	tree, err := s.origin(ctx)
	if err != nil {
		return publication.Published{}, fmt.Errorf("reading the names of the log: %w", err)
	}
	missing := policies.Refuse(policies.CheckpointMissing)
	var p publication.Published
	if size == 0 {
		p, err = s.Store.LastWitnessed(ctx, tree.Origin)
	} else {
		p, err = s.Store.CheckpointAt(ctx, tree.Origin, size)
	}
	switch {
	case errors.Is(err, policies.Refuse(policies.NotFound)):
		return publication.Published{}, missing
	case err != nil:
		return publication.Published{}, fmt.Errorf("reading a checkpoint: %w", err)
	}
	policy, err := s.believed(tree)
	if err != nil {
		return publication.Published{}, err
	}
	signed, err := policy.Open(p.Note)
	if err != nil || signed.Checkpoint != p.Checkpoint {
		return publication.Published{}, fmt.Errorf("%w: %w", missing, errors.Join(err, errOtherCheckpoint))
	}
	return p, nil
}

var errOtherCheckpoint = errors.New("the witnessed checkpoint of the database does not hold")

// believed is the policy with the log's own key. Without a policy nobody
// witnesses.
func (s *Service) believed(tree publication.Tree) (audit.Policy, error) {
	policy, err := s.Policy, error(nil)
	if policy.String() == "" {
		policy, err = audit.ParsePolicy([]byte("quorum none\n"))
	}
	if err == nil {
		policy, err = policy.WithLog(tree.Key)
	}
	if err != nil {
		return audit.Policy{}, fmt.Errorf("reading the log's key: %w", err)
	}
	return policy, nil
}

// newest is the newest signed checkpoint, the zero value if there is none.
func (s *Service) newest(ctx context.Context) (publication.Published, error) {
	tree, err := s.origin(ctx)
	if err != nil {
		return publication.Published{}, fmt.Errorf("reading the names of the log: %w", err)
	}
	found, err := s.Store.Checkpoints(ctx, tree.Origin, 1)
	if err != nil || len(found) == 0 {
		return publication.Published{}, err
	}
	return found[0], nil
}

// Completeness proves that whoever has the leaves of [from, to) has all of them.
func (s *Service) Completeness(ctx context.Context, a Asking, from, to int64) (Completeness, error) {
	if err := admit(a); err != nil {
		return Completeness{}, err
	}
	if from < 0 || to <= from || to > largest {
		return Completeness{}, policies.Refuse(policies.RangeImpossible)
	}
	size, err := s.record(ctx, a, askedCompleteness, map[string]any{"first": from, "end": to})
	if err != nil {
		return Completeness{}, err
	}
	if to > size {
		return Completeness{}, policies.Refuse(policies.RangeImpossible)
	}
	p, err := s.checkpoint(ctx, 0)
	if err != nil {
		return Completeness{}, err
	}
	if p.Size < to {
		return Completeness{}, policies.Refuse(policies.CheckpointMissing)
	}
	edge, err := audit.Edge(ctx, from, s.Store)
	if err != nil {
		return Completeness{}, err
	}
	tree, err := audit.TreeHash(ctx, to, s.Store)
	if err != nil {
		return Completeness{}, err
	}
	consistency, err := audit.EndSpan(ctx, p.Size, to, s.Store)
	if err != nil {
		return Completeness{}, err
	}
	return Completeness{
		From: from, To: to, Leaves: to - from,
		Origin: p.Origin, Size: p.Size, Checkpoint: p.Note, TimeStamp: p.Timestamp,
		Edge: audit.EncodeHashes(edge), Root: tree.Root[:], Consistency: audit.EncodeHashes(consistency),
	}, nil
}

// hashes are stored hashes that were read ahead.
type hashes map[int64]tlog.Hash

// ReadHashes implements audit.HashReader.
func (h hashes) ReadHashes(_ context.Context, indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hash, ok := h[index]
		if !ok {
			return nil, fmt.Errorf("stored hash %d was not read", index)
		}
		out[i] = hash
	}
	return out, nil
}

// learner is a reader that only learns what would be read.
type learner struct{ indexes map[int64]bool }

var errAsked = errors.New("learnt what is read")

// ReadHashes implements audit.HashReader.
func (a learner) ReadHashes(_ context.Context, indexes []int64) ([]tlog.Hash, error) {
	for _, index := range indexes {
		a.indexes[index] = true
	}
	return nil, errAsked
}

// paths proves many entries under one checkpoint. Their paths have most hashes
// in common: each is read once, all at once.
func (s *Service) paths(ctx context.Context, size int64, records []audit.Record) ([]tlog.RecordProof, error) {
	learn := learner{indexes: map[int64]bool{}}
	for _, r := range records {
		if _, err := audit.ProveInclusion(ctx, size, r.Seq, learn); err != nil && !errors.Is(err, errAsked) {
			return nil, err
		}
	}
	indexes := make([]int64, 0, len(learn.indexes))
	for index := range learn.indexes {
		indexes = append(indexes, index)
	}
	read, err := s.Store.ReadHashes(ctx, indexes)
	if err == nil && len(read) != len(indexes) {
		err = fmt.Errorf("asked for %d, got %d", len(indexes), len(read))
	}
	if err != nil {
		return nil, fmt.Errorf("reading the hashes of entries: %w", err)
	}
	known := make(hashes, len(indexes))
	for i, index := range indexes {
		known[index] = read[i]
	}
	proofs := make([]tlog.RecordProof, len(records))
	for i, r := range records {
		if proofs[i], err = audit.ProveInclusion(ctx, size, r.Seq, known); err != nil {
			return nil, err
		}
	}
	return proofs, nil
}
