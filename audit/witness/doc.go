// Package witness is a C2SP tlog-witness: it cosigns what a log says of itself
// as long as the log only grows, and so takes from the log's owner the power to
// show two people two different pasts.
//
// What it promises:
//
//   - it never cosigns two checkpoints of one log of which one does not begin
//     with the other, and never a smaller one after a larger one;
//   - what it cosigned is on the disk before anybody hears of it;
//   - a memory that is missing or cannot be read ends it: it never begins anew
//     under a key that has cosigned;
//   - one process at a time has the memory;
//   - two checkpoints that contradict each other are kept as evidence.
//
// It knows checkpoints and nothing else: no entries, no persons, no database. It
// shares no code with the log that it watches.
package witness
