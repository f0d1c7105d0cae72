// Package inspect looks for what can make a PDF show something else than what
// is signed: to somebody else, at another time, in another program, or after a
// later update. File reports it of one document, before it is shown to anybody;
// Changes reports it of two revisions of one.
//
// It decides nothing: package policies says what is refused. It promises to end
// within bounded time and memory on whatever input, and it never says that it
// found nothing where it could not look: that is a finding too.
package inspect
