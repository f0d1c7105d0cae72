package auditing

import (
	"time"

	"github.com/rubrica-firma/rubrica/audit"
	"github.com/rubrica-firma/rubrica/personnel"
)

// The roles of those who have an account at the auditor's door. Nobody has both.
const (
	RoleAuditor       = personnel.RoleAuditor       // asks the log, manages nothing
	RoleAdministrator = personnel.RoleAdministrator // manages auditors, sees Health, reads no payload
)

// Identity is who asks.
type Identity = personnel.Identity

// Asking is who asks and why, in 5 to 200 characters. Every question that answers
// with entries or with counts of them takes it, and is in the log with it before
// it is answered.
type Asking = personnel.Asking

// Result is a class of outcomes.
type Result = audit.Result

// Results are the classes of outcomes that can be looked for, in the order in
// which they are shown. What only begins something has none.
func Results() []Result {
	return []Result{audit.ResultSucceeded, audit.ResultRefused, audit.ResultFailed, audit.ResultInterrupted, audit.ResultExpired}
}

// Query is what is looked for. What is empty does not matter; everything given
// must hold. Fields come as a person typed them: Service reads them, and what it
// cannot read is a *policies.Refusal with code query_invalid and the field's name.
type Query struct {
	Citizen     string // DNI or NIE
	Certificate string // serial number, hex; blanks, colons, case and leading zeros do not matter
	Document    string // SHA-256, hex; blanks and case do not matter
	Application string // client id
	Operation   string // id of a request, citizen, key ceremony or auditor
	Types       []audit.EventType
	Result      Result
	From        time.Time // first instant, zero for the beginning
	To          time.Time // instant after the last, zero for now
	// Before is where a page ends: entries with a lower number only; 0 for the
	// newest.
	Before int64
	// Limit is the size of a page, 0 for DefaultLimit, at most MaxLimit.
	Limit int
}

// Sizes of a page.
const (
	DefaultLimit = 50
	MaxLimit     = 500
)

// Found is a page of entries.
type Found struct {
	Entries []Entry
	// Next is the Before of the following page, 0 when there is none. A page may
	// hold fewer entries than Limit, even none, and have a next one: where much has
	// to be looked through for little, a search gives what it has and goes on there.
	Next int64
	// Size is that of the log as searched: the entries that there were before the
	// question was recorded.
	Size int64
}

// Entry is one event of the log, as it stands there.
type Entry struct {
	Seq       int64
	Type      audit.EventType
	Operation string
	At        time.Time
	// Person is whom it is about: a DNI or NIE, empty if nobody or erased.
	Person string
	// Facts are the payload, decoded: string, bool, json.Number, []any and
	// map[string]any. Nil when erased or not intact.
	Facts map[string]any
	// Result is the class of outcome that Type stands for, empty if none.
	Result Result

	// Leaf, Payload and Salt are the bytes that the tree commits to.
	Leaf, Payload, Salt []byte
	// Erased is an entry whose payload was unlinked: its place, type, operation
	// and time still hold.
	Erased bool
	// Intact is whether the entry is what its leaf commits to. One that is not was
	// altered in the database: it is shown, and nothing of it is to be believed.
	Intact bool
}

// Single is one entry with the proof of its place.
type Single struct {
	Entry Entry
	// Proof is a C2SP tlog-proof under the newest witnessed checkpoint, or under
	// the newest signed one while no witness has seen the entry; empty before it
	// was published.
	Proof []byte
	// Witnessed is whether Proof's checkpoint has its quorum.
	Witnessed bool
}

// Totals count the entries of whole days (UTC).
type Totals struct {
	From, To time.Time // the first day, and the day after the last
	// Counted is up to which number entries are in the totals, Size how many there
	// are: the difference is what the next turn will count.
	Counted, Size int64
	// Signatures has one row a day, application and result.
	Signatures []SignatureTotal
	// Refusals has one row a reason, most frequent first.
	Refusals []ReasonTotal
	// CodeFailures has one row a day and event: code.failed, code.expired,
	// code.exhausted, code.send_failed.
	CodeFailures []EventTotal
	// Confirmations has one row a day: how long people took from the code to its
	// confirmation.
	Confirmations []TimeTotal
	// Events has one row an event type, most frequent first.
	Events []EventTotal
}

// SignatureTotal is how often signatures of an application ended so on one day.
type SignatureTotal struct {
	Day         time.Time
	Application string
	Result      Result
	N           int64
}

// ReasonTotal is how often a reason refused something.
type ReasonTotal struct {
	Type   audit.EventType
	Reason string // a policies.Code
	N      int64
}

// EventTotal is how often something happened. Day is zero in a sum of all days.
type EventTotal struct {
	Day  time.Time
	Type audit.EventType
	N    int64
}

// TimeTotal is how long N of something took.
type TimeTotal struct {
	Day     time.Time
	N       int64
	Seconds int64 // the sum
}

// Mean is the average time, 0 where there is nothing.
func (t TimeTotal) Mean() time.Duration {
	if t.N == 0 {
		return 0
	}
	return time.Duration(t.Seconds) * time.Second / time.Duration(t.N)
}

// Health is how the log stands. It holds nothing of any entry: administrators
// see it too.
type Health struct {
	At     time.Time // when this was looked at
	Origin string    // name of the tree
	// Size is the number of entries, Last when the newest was made.
	Size int64
	Last time.Time
	// Signed is the newest checkpoint, Witnessed the newest that the witnesses'
	// quorum has seen, Stamped the newest that a time-stamping authority has
	// confirmed. Their At is zero while there is none.
	Signed    CheckpointHealth
	Witnessed CheckpointHealth
	Stamped   CheckpointHealth
	// Witnesses are the ones that the policy knows, by name.
	Witnesses []WitnessHealth
	// Suspended is whether signing was stopped because the log is behind what
	// witnesses saw, or another; Since when (zero where nobody could record it), and
	// Reason why: behind, forked.
	Suspended bool
	Since     time.Time
	Reason    string
	// Signing is whether the signer says that it can do its work.
	Signing bool
	// Recoveries is how many times the tree has begun again under another name.
	Recoveries int
	// Counted is up to which number entries are in the totals.
	Counted int64
}

// CheckpointHealth is one checkpoint.
type CheckpointHealth struct {
	Size int64
	At   time.Time
	// Age is how old it is, Lag how many entries came after it.
	Age time.Duration
	Lag int64
}

// WitnessHealth is one witness.
type WitnessHealth struct {
	Name string
	// Size and At are of its newest cosignature among the newest checkpoints; At is
	// zero if it has none there.
	Size int64
	At   time.Time
}

// Format is the form of an export.
type Format string

// The formats of exports. A Companion is what is missing in the CSV: the
// checkpoint and the proofs of a whole range, as an export of JSON Lines without
// entries; it is asked for with the CSV's query and checkpoint.
const (
	JSONLines Format = "jsonl"
	CSV       Format = "csv"
	Companion Format = "companion"
)

// ExportOptions say in which form entries are taken away, and where an export
// goes on that was broken off.
type ExportOptions struct {
	Format Format
	// Complete exports every leaf of a range, so that who reads it can verify that
	// none was left out; payloads go with those that the query matches. The range
	// is the query's time range.
	Complete bool
	// Checkpoint is the size of the witnessed checkpoint under which everything is
	// proven; 0 takes the newest. To go on with an export, it is the first part's.
	Checkpoint int64
	// Next is the number of the first entry that is wanted, 0 for all: an export
	// that was broken off goes on after the last entry that was received.
	Next int64
	// Begun is called once, when the question is in the log and before the first
	// byte is written: what refuses an export comes before it.
	Begun func(Export)
}

// Export is what an export will be.
type Export struct {
	Format     Format
	Checkpoint int64 // size
	From, To   int64 // numbers: first, and after the last
	// Name is a file name for it, MediaType its type.
	Name, MediaType string
}

// Completeness proves that a list of entries is the whole of a range: with the
// leaves of [From, To), whoever has them computes the tree's root.
type Completeness struct {
	From, To int64
	// Leaves is To - From.
	Leaves int64
	// Origin, Checkpoint (a signed note) and TimeStamp (RFC 3161, DER) are what the
	// range is proven under.
	Origin     string
	Size       int64
	Checkpoint []byte
	TimeStamp  []byte
	// Edge are the roots of the complete subtrees that the first From entries form;
	// Consistency proves that the tree of To entries begins the tree of Size
	// (RFC 6962, section 2.1.2).
	Edge        [][]byte
	Root        []byte // of the tree of To entries
	Consistency [][]byte
}
