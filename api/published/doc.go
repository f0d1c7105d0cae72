// Package published serves what everybody may have of the signature log, under
// /log/: the newest checkpoint with its cosignatures and its time-stamp, tiles of
// hashes and bundles of leaves (C2SP tlog-tiles), all computed from the tables.
// Leaves commit to what they tell of and do not show it.
package published
