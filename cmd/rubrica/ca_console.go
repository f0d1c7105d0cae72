package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/rubrica-firma/rubrica/ca/ceremony"
)

// console asks people at a terminal.
type console struct {
	in  io.Reader
	out io.Writer
	yes bool
}

// Say implements ceremony.Console.
func (c console) Say(line string) { fmt.Fprintln(c.out, line) }

var errNobody = errors.New("nobody answers: give --yes where no person sits before the terminal")

// Confirm implements ceremony.Console.
func (c console) Confirm(ctx context.Context, question string) (bool, error) {
	if c.yes {
		return true, ctx.Err()
	}
	fmt.Fprintf(c.out, "    %s [y/N] ", question)
	answer := make(chan string, 1)
	go func() {
		defer close(answer)
		if line, err := readLine(c.in); err == nil {
			answer <- line
		}
	}()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case line, ok := <-answer:
		if !ok {
			return false, errNobody
		}
		line = strings.ToLower(strings.TrimSpace(line))
		return line == "y" || line == "yes", nil
	}
}

// readLine reads no further than its line: the next question reads on.
func readLine(in io.Reader) (string, error) {
	var line strings.Builder
	for one := make([]byte, 1); ; {
		if _, err := io.ReadFull(in, one); err != nil || one[0] == '\n' {
			return line.String(), err
		}
		line.WriteByte(one[0])
	}
}

// export writes the public side into a directory.
func export(ctx context.Context, house *ceremony.House, dir string) error {
	files, err := house.Export(ctx)
	if err != nil {
		return fmt.Errorf("gathering the export: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // all in it is public
		return fmt.Errorf("making the directory of the export: %w", err)
	}
	for _, f := range files {
		if err := replaceFile(filepath.Join(dir, f.Name), f.Content); err != nil {
			return fmt.Errorf("writing the export: %w", err)
		}
	}
	fmt.Printf("Written to %s: %d files.\n", dir, len(files))
	return nil
}

// replaceFile puts a file in the place of another at once: a reader, or a
// crash, finds the old one or the new one, whole.
func replaceFile(path string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	return fill(file, content, path)
}

// fill writes a temporary file and moves it to its place, or removes it.
func fill(file *os.File, content []byte, path string) error {
	_, err := file.Write(content)
	if err == nil {
		err = errors.Join(file.Chmod(0o644), file.Sync())
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
