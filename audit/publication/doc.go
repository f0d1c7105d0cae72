// Package publication makes the log public, so that it cannot be rewritten
// unseen: it signs checkpoints of the log, has them time-stamped and witnessed,
// and holds the log against what witnesses saw of it.
//
// What it promises:
//
//   - no checkpoint is signed that does not begin with the one signed before,
//     be it on record in the database or in a file outside it;
//   - of several Publishers one works, and two at once would still publish the
//     same: a size has one root;
//   - a witness, a time-stamping authority or a database that does not answer
//     delays what needs it and nothing else;
//   - while the log is behind what somebody has seen of it, or is another, Guard
//     lets nothing be signed, and nothing be appended where entries are missing;
//   - what was lost is either put back, as leaves without what they commit to, or
//     the log goes on under another name, and the log says which.
//
// The formats are those of C2SP: tlog-checkpoint, tlog-cosignature, tlog-witness.
package publication
