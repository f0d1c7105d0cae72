// Package policies decides. Its functions are pure: facts in (the time among
// them), a grant or a typed refusal out, each rule with its source, so that a
// jurist can read them and a test can state them. It does no I/O and imports
// nothing of the rest.
package policies
