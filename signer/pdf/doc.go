// Package pdf reads PDF files and writes incremental updates of them
// (ISO 32000-1 and -2, clause 7): structure only, no page content.
//
// It promises, for whatever input: the file is read through an io.ReaderAt and
// never held; memory and time are bounded; nothing is repaired, because what
// one reader repairs another shows differently, except where every reader
// agrees; and the original octets are a prefix of every result. What cannot be
// read is a *policies.Refusal.
//
// A File and what hangs on it serve one goroutine at a time. Objects that a File
// hands out are shared: clone a Dict or an Array before changing it.
package pdf
