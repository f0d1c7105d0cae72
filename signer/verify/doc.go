// Package verify says of each signature in a document whether it is valid, and
// why, by the validation process of ETSI EN 319 102-1 V1.4.1, clause 5: for
// basic signatures (5.3), with time-stamps (5.4, 5.5), and with evidence that
// outlives certificates and algorithms (5.6).
//
// It judges what other packages read: signer/cms and signer/cades say what is
// in a signature, signer/pades and signer/inspect what is in a PDF and what was
// changed after it was signed. The judgement shares no code with what makes
// signatures, time-stamps, answers and lists, but for their encoding.
//
// The package does no I/O. What a document does not hold (certificates, answers
// and lists) has to be given, or is asked of a Fetcher.
//
// What the norm leaves to a policy is decided so:
//
//   - Everybody is judged by the shell model: a path is good at one time, the
//     time of validation or the earliest at which the signature is proved to
//     have existed (EN 319 102-1, 5.2.6.4 and 5.6.2.2).
//   - Information about revocation is fresh at a time if it was produced after
//     it, or if its nextUpdate is after it (5.2.5.4, step 2). Without
//     information nobody is believed: TRY_LATER.
//   - Algorithms are those of ETSI TS 119 312 with the ends that its annex D
//     suggests; see TS119312.
//   - A document that was changed after its signature in a way that the
//     signature does not permit is a FORMAT_FAILURE, as is a signature that
//     does not cover all of its revision but itself.
//   - A time-stamp, certificate, answer or list inside a signature that has
//     been tampered with is never just passed over: the signature is not
//     valid, even if it would be without it.
//   - No signature at all is no valid signature.
package verify
