// Package foreign holds the tests that ask validators which nobody here wrote
// about the signatures that the whole project makes: that they accept what we
// sign, at every level, with every algorithm, in documents of every producer; and
// that they, and our own verifier, reject what was changed afterwards. What one
// package can be asked alone is tested there.
package foreign
