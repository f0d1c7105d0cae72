// Package auditing is what auditors ask of the signature log: searches, single
// entries with their proof, operations as a time line, totals, proofs that a
// range is complete, and exports that can be verified off line.
//
// What it promises:
//
//   - every question is an entry of the log itself, with who asked, why and
//     what, before it is answered; if it cannot be recorded, nothing is answered;
//   - only the role auditor reads entries;
//   - an entry that is not what its leaf commits to is shown as such, and never
//     left out;
//   - an export is proven under one checkpoint that witnesses have seen.
package auditing
