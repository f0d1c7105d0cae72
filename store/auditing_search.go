package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/audit"
)

// A search intersects lists of numbers, each sorted and in an index: of a
// person, an operation, each term, the types. It tries a portion of the list
// that is sparsest there, keeps what stands in the others too, and goes on
// behind it, past whatever one of the lists does not have at all. So a rare
// person among a frequent type costs what the person does; and where all lists
// are long and hardly meet, the search ends and its caller has where to go on.
//
// The planner would have to guess each time, and one wrong guess reads the log.
const (
	probe   = 256   // how far lists are looked ahead to tell how dense they are
	portion = 4096  // at most so many numbers are tried at once
	effort  = 10000 // numbers tried until a search gives what it has
	rounds  = 12    // and looks ahead
	// To look a number up in an index costs what it costs to read so many that
	// stand beside each other.
	lookUp = 16
)

// search is one under way.
type search struct {
	db     querier
	filter audit.Filter
	lists  []list
	limit  int
	found  audit.Matches
}

// Search finds entries in a stretch of the log.
func (a Auditor) Search(ctx context.Context, f audit.Filter, stretch audit.Stretch) (audit.Matches, error) {
	s := search{db: a.db.pool, filter: f, lists: listsOf(f), limit: stretch.Limit, found: audit.Matches{Rest: stretch}}
	err := s.narrow(ctx)
	if err == nil && len(s.lists) == 0 {
		err = s.walk(ctx)
	}
	for tried, round := 0, 0; err == nil && len(s.lists) > 0 && !s.ended() && tried < effort && round < rounds; round++ {
		var n int
		n, err = s.advance(ctx, min(max(probe, 4*tried), portion))
		tried += n
	}
	return s.found, classify(err)
}

// Narrow is the part of a stretch outside of which no entry has a time of the
// filter's. Within it, some may have another.
func (a Auditor) Narrow(ctx context.Context, f audit.Filter, stretch audit.Stretch) (audit.Stretch, error) {
	s := search{db: a.db.pool, filter: f, found: audit.Matches{Rest: stretch}}
	err := s.narrow(ctx)
	return s.found.Rest, classify(err)
}

func (s *search) ended() bool { return s.found.Rest.Empty() || len(s.found.Records) >= s.limit }

// narrow turns bounds of time into bounds of number. An entry may stand in the
// log later than its time says, but by audit.Delay at most: one that is older
// than the bound by more than that stands before all that are sought.
func (s *search) narrow(ctx context.Context) error {
	f, rest := s.filter, &s.found.Rest
	if f.From.IsZero() && f.To.IsZero() || rest.Empty() {
		return nil
	}
	return s.db.QueryRow(ctx, `
		SELECT
			greatest(@from::bigint, (
				SELECT seq + 1
				FROM log_entries
				WHERE at < @since::timestamptz
				ORDER BY at DESC, seq DESC
				LIMIT 1
			)),
			least(@to::bigint, (
				SELECT seq
				FROM log_entries
				WHERE at >= @until::timestamptz
				ORDER BY at, seq
				LIMIT 1
			))`, pgx.NamedArgs{
		"from":  rest.From,
		"to":    rest.To,
		"since": withLeeway(f.From, -delay),
		"until": withLeeway(f.To, delay),
	}).Scan(&rest.From, &rest.To)
}

// delay is how far the order of numbers and that of times may differ: by the
// length of an operation, and by the clocks of two hosts.
const delay = audit.Delay + time.Minute

// withLeeway is a bound of time, null if there is none.
func withLeeway(t time.Time, leeway time.Duration) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.Add(leeway)
	return &t
}

// advance looks ahead in all lists and tries a portion of the sparsest. It
// returns how many numbers it tried.
func (s *search) advance(ctx context.Context, size int) (int, error) {
	ahead, err := s.ahead(ctx, s.lists, probe)
	if err != nil {
		return 0, err
	}
	for _, l := range s.lists {
		if len(ahead[l]) == 0 {
			s.found.Rest.To = s.found.Rest.From
			return 0, nil
		}
		s.skip(ahead[l][0])
	}
	sparsest := slices.MinFunc(s.lists, func(x, y list) int { return s.sparser(ahead[x], ahead[y]) })
	numbers, whole := ahead[sparsest], len(ahead[sparsest]) < probe
	if !whole && size > probe {
		more, err := s.ahead(ctx, []list{sparsest}, size)
		if err != nil {
			return 0, err
		}
		numbers, whole = more[sparsest], len(more[sparsest]) < size
	}
	kept := numbers
	for _, l := range s.lists {
		if l == sparsest || len(kept) == 0 {
			continue
		}
		if kept, err = s.common(ctx, l, kept, s.near(ahead[l], kept)); err != nil {
			return 0, err
		}
	}
	if err := s.read(ctx, `seq = ANY (@numbers)`, pgx.NamedArgs{"numbers": kept}); err != nil || len(s.found.Records) >= s.limit {
		return len(numbers), err
	}
	if whole {
		s.found.Rest.To = s.found.Rest.From
	} else {
		s.found.Rest = s.found.Rest.After(numbers[len(numbers)-1])
	}
	return len(numbers), nil
}

// skip passes what stands before the first number of a list.
func (s *search) skip(first int64) {
	if s.found.Rest.NewestFirst {
		s.found.Rest.To = min(s.found.Rest.To, first+1)
	} else {
		s.found.Rest.From = max(s.found.Rest.From, first)
	}
}

// sparser orders lists by how far so many of their numbers reach. One that ends
// before reaches to the end of the stretch.
func (s *search) sparser(a, b []int64) int {
	switch {
	case len(a) < probe || len(b) < probe:
		return len(a) - len(b)
	case s.found.Rest.NewestFirst == (a[probe-1] < b[probe-1]):
		return -1
	}
	return 1
}

// directed is SQL in the direction of the search.
func (s *search) directed(sql string) string {
	way := "ASC"
	if s.found.Rest.NewestFirst {
		way = "DESC"
	}
	return strings.ReplaceAll(sql, "{way}", way)
}

// ahead reads the first numbers of lists, at most so many of each.
func (s *search) ahead(ctx context.Context, lists []list, limit int) (map[list][]int64, error) {
	args := s.args(lists)
	args["from"], args["to"], args["limit"] = s.found.Rest.From, s.found.Rest.To, limit
	rows, err := s.db.Query(ctx, s.directed(listsSQL), args)
	if err != nil {
		return nil, err
	}
	var (
		l     list
		seq   int64
		ahead = make(map[list][]int64, len(lists))
	)
	_, err = pgx.ForEachRow(rows, []any{&l.kind, &l.value, &seq}, func() error {
		ahead[l] = append(ahead[l], seq)
		return nil
	})
	return ahead, err
}

// near is whether a list, of which the first numbers are known, has so few
// between the numbers sought that reading them all is less than looking each up.
func (s *search) near(ahead, sought []int64) bool {
	if len(ahead) < probe {
		return true
	}
	return reach(sought)/max(1, reach(ahead)/probe) <= int64(lookUp*len(sought))
}

// reach is how far apart the first and the last of sorted numbers are.
func reach(numbers []int64) int64 {
	first, last := numbers[0], numbers[len(numbers)-1]
	return max(first, last) - min(first, last) + 1
}

// common are those of some numbers that stand in a list.
func (s *search) common(ctx context.Context, l list, numbers []int64, near bool) ([]int64, error) {
	if near {
		most := 2 * lookUp * max(len(numbers), probe)
		common, read, err := s.merge(ctx, l, numbers, most)
		if err != nil || read < most {
			return common, err
		}
	}
	return s.lookUp(ctx, l, numbers)
}

// merge reads a list between the first and the last of some numbers, and says
// how much it had to read.
func (s *search) merge(ctx context.Context, l list, numbers []int64, most int) (common []int64, read int, err error) {
	args := s.args([]list{l})
	args["from"], args["to"], args["limit"] = slices.Min(numbers), slices.Max(numbers)+1, most
	args["numbers"] = numbers
	err = s.db.QueryRow(ctx, s.directed(`
		WITH list AS MATERIALIZED (`+listsSQL+`)
		SELECT
			(SELECT count(*) FROM list),
			ARRAY (
				SELECT seq
				FROM (
					SELECT unnest(@numbers::bigint[]) AS seq
					INTERSECT
					SELECT seq FROM list
				) AS common
				ORDER BY seq {way}
			)`), args).Scan(&read, &common)
	return common, read, err
}

// lookUp asks the index for each number. A scalar subquery is one look into it;
// EXISTS may become a table of the whole list.
func (s *search) lookUp(ctx context.Context, l list, numbers []int64) ([]int64, error) {
	args := s.args([]list{l})
	args["numbers"] = numbers
	rows, err := s.db.Query(ctx, s.directed(`
		SELECT n.seq
		FROM unnest(@numbers::bigint[]) AS n (seq)
		WHERE
			(
				@person = ''
				OR (SELECT true FROM log_entries e WHERE e.person = @person AND e.seq = n.seq)
				OR (SELECT true FROM log_terms t WHERE t.kind = 'citizen' AND t.value = @person AND t.seq = n.seq)
			)
			AND (@operation = '' OR (SELECT true FROM log_entries e WHERE e.operation = @operation AND e.seq = n.seq))
			AND (cardinality(@types::text[]) = 0 OR (SELECT true FROM log_entries e WHERE e.type = ANY (@types) AND e.seq = n.seq))
			AND (cardinality(@kinds::text[]) = 0 OR (
				SELECT true
				FROM log_terms t
				WHERE t.kind = (@kinds)[1] AND t.value = (@values::text[])[1] AND t.seq = n.seq
			))
		ORDER BY n.seq {way}`), args)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// walk is a search by time alone, or by nothing.
func (s *search) walk(ctx context.Context) error {
	err := s.read(ctx, `seq >= @from AND seq < @to`, pgx.NamedArgs{"from": s.found.Rest.From, "to": s.found.Rest.To})
	if err == nil && len(s.found.Records) < s.limit {
		s.found.Rest.To = s.found.Rest.From
	}
	return err
}

// read adds entries to what was found, as many as are still wanted.
func (s *search) read(ctx context.Context, where string, args pgx.NamedArgs) error {
	args["since"], args["until"], args["limit"] = withLeeway(s.filter.From, 0), withLeeway(s.filter.To, 0), s.limit-len(s.found.Records)
	rows, err := s.db.Query(ctx, s.directed(`
		SELECT `+recordColumns+`
		FROM log_entries
		WHERE `+where+` AND (@since::timestamptz IS NULL OR at >= @since) AND (@until::timestamptz IS NULL OR at < @until)
		ORDER BY seq {way}
		LIMIT @limit`), args)
	if err != nil {
		return err
	}
	records, err := pgx.CollectRows(rows, record)
	if err != nil {
		return err
	}
	s.found.Records = append(s.found.Records, records...)
	if n := len(s.found.Records); n > 0 {
		s.found.Rest = s.found.Rest.After(s.found.Records[n-1].Seq)
	}
	return nil
}
