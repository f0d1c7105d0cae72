package documents

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// File is a document on its way through this process: in a file without a name,
// which is gone with its last descriptor, so that neither a large document nor
// many of them take memory, and a child reads it where it likes. It is safe for
// concurrent use until it is closed.
type File struct {
	file *os.File
	size int64
	sum  hash.Hash // of everything; nil where it has to be computed anew
}

// NewFile takes a content in.
func NewFile(content io.Reader) (*File, error) {
	return Spool(func(f *File) error {
		_, err := io.Copy(f, content)
		return err
	})
}

// HeldFile takes in what is in memory.
func HeldFile(content []byte) (*File, error) { return NewFile(bytes.NewReader(content)) }

// Spool takes in what write writes, and hashes it on its way; the error of write
// is returned as it is.
func Spool(write func(f *File) error) (*File, error) { return spool(write, sha256.New()) }

// Assemble does the same with what is about to leave, whose hash nobody needs.
func Assemble(write func(f *File) error) (*File, error) { return spool(write, nil) }

func spool(write func(f *File) error, sum hash.Hash) (*File, error) {
	file, err := nameless()
	if err != nil {
		return nil, fmt.Errorf("making a temporary file (TMPDIR names where; it needs room for the documents in flight): %w", err)
	}
	f := &File{file: file, sum: sum}
	if err := write(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// nameless makes a file that no path leads to.
func nameless() (*os.File, error) {
	dir := os.TempDir()
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return os.NewFile(uintptr(fd), filepath.Join(dir, "document")), nil
	}
	// Not every file system has O_TMPFILE.
	file, err := os.CreateTemp(dir, "document-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, err
	}
	return file, nil
}

// Write appends. It belongs to whoever makes the file.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.file.WriteAt(p, f.size)
	f.size += int64(n)
	if f.sum != nil {
		f.sum.Write(p[:n])
	}
	return n, err
}

// gulp is how much is read at a time of what streams in: a system call costs as
// much as hashing some kilobytes.
const gulp = 256 << 10

// ReadFrom implements io.ReaderFrom: it is Write for what streams in.
func (f *File) ReadFrom(r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{f}, r, make([]byte, gulp))
}

// WriteTo implements io.WriterTo. The kernel copies it, where it can: whoever
// reads of the file meanwhile is not disturbed.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	again, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", f.file.Fd()))
	if err != nil { // no /proc here
		return io.Copy(w, f.Reader())
	}
	defer again.Close() //nolint:errcheck // it is read only
	return io.Copy(w, again)
}

// Append appends a whole other document. What nobody hashes need not pass through
// this process: the kernel copies it, where it can.
func (f *File) Append(other *File) error {
	var from int64
	for f.sum == nil && from < other.size {
		n, err := unix.CopyFileRange(int(other.file.Fd()), &from, int(f.file.Fd()), &f.size, int(other.size-from), 0)
		if err != nil || n == 0 { // not on these file systems, or not between them
			break
		}
	}
	if _, err := io.Copy(f, io.NewSectionReader(other.file, from, other.size-from)); err != nil {
		return fmt.Errorf("copying a document: %w", err)
	}
	return nil
}

// Replace overwrites octets that are there. It belongs to whoever makes the file.
func (f *File) Replace(p []byte, at int64) error {
	if at < 0 || at+int64(len(p)) > f.size {
		return fmt.Errorf("replacing %d octets at %d of %d: %w", len(p), at, f.size, io.ErrUnexpectedEOF)
	}
	f.sum = nil
	_, err := f.file.WriteAt(p, at)
	return err
}

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(p []byte, at int64) (int, error) { return f.file.ReadAt(p, at) }

// Size is in octets.
func (f *File) Size() int64 { return f.size }

// SHA256 is of everything that has been written.
func (f *File) SHA256() ([]byte, error) {
	sum, err := f.Hashed()
	if err != nil {
		return nil, err
	}
	return sum.Sum(nil), nil
}

// Sum is the same by another algorithm.
func (f *File) Sum(by crypto.Hash) ([]byte, error) {
	if by == crypto.SHA256 {
		return f.SHA256()
	}
	sum := by.New()
	if _, err := io.Copy(sum, f.Reader()); err != nil {
		return nil, fmt.Errorf("reading a document again: %w", err)
	}
	return sum.Sum(nil), nil
}

// Hashed is SHA-256 behind everything that has been written, to be gone on with:
// who hashes a document with something behind it need not read it again.
func (f *File) Hashed() (hash.Hash, error) {
	if f.sum == nil {
		sum := sha256.New()
		if _, err := io.Copy(sum, f.Reader()); err != nil {
			return nil, fmt.Errorf("reading a document again: %w", err)
		}
		f.sum = sum
	}
	state, ok := f.sum.(hash.Cloner)
	if !ok {
		return nil, fmt.Errorf("going on with a hash: %w", errors.ErrUnsupported)
	}
	return state.Clone()
}

// Reader reads from the beginning, each time anew.
func (f *File) Reader() *io.SectionReader { return io.NewSectionReader(f.file, 0, f.size) }

// Close forgets the document.
func (f *File) Close() { _ = f.file.Close() } // what could not be written was said by Write
