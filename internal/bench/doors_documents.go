package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/api/rest/client"
	"github.com/rubrica-firma/rubrica/internal/thread"
)

// Documents measures documents of 100 MB on their way through the native door of
// the environment's own public side: up, signed on the pages, and down.
type Documents struct {
	*Keys

	Spine *Spine
}

// Measure implements House.
func (d *Documents) Measure(ctx context.Context) ([]Figure, error) {
	return d.measure(ctx, []part{{[]string{"doors/document100mb", "doors/upload", "doors/download"}, d.through}})
}

// passage is what one document took of the public side: processor time, and on
// the clock.
type passage struct{ up, down, upElapsed, downElapsed float64 }

func (d *Documents) through(ctx context.Context) ([]Figure, error) {
	public, err := d.publicSide()
	if err != nil {
		return nil, err
	}
	citizen, err := d.citizen(ctx)
	if err != nil {
		return nil, err
	}
	small, err := d.written(scans{pages: 1, each: 1000})
	if err != nil {
		return nil, err
	}
	defer small.forget()
	big, err := d.written(scans{pages: 5, each: largeImage / 5})
	if err != nil {
		return nil, err
	}
	defer big.forget()
	// What it takes for a small document it takes for a large one, too.
	for range 3 {
		if _, err := d.pass(ctx, public, citizen, small); err != nil {
			return nil, err
		}
	}
	before, err := peak(public)
	if err != nil {
		return nil, err
	}
	var up, down, upElapsed, downElapsed, hashed []float64
	for range d.Rounds {
		limit, err := spentBy(1, big.hash)
		if err != nil {
			return nil, fmt.Errorf("hashing: %w", err)
		}
		p, err := d.pass(ctx, public, citizen, big)
		if err != nil {
			return nil, err
		}
		hashed = append(hashed, 1000*limit)
		up, down = append(up, limit/p.up), append(down, limit/p.down)
		upElapsed, downElapsed = append(upElapsed, p.upElapsed), append(downElapsed, p.downElapsed)
	}
	after, err := peak(public)
	if err != nil {
		return nil, err
	}
	rate := func(seconds []float64) float64 { return float64(big.size) / 1e6 / median(seconds) }
	return []Figure{
		below("doors/document100mb_rss_mb", after-before, memoryLimit, "MiB"),
		info("doors/document100mb_hash_alone", median(hashed), "ms"),
		above("doors/upload_over_sha256", median(up), 0.5),
		above("doors/download_over_sha256", median(down), 0.5),
		info("doors/upload_mb_per_second", rate(upElapsed), "MB/s"),
		info("doors/download_mb_per_second", rate(downElapsed), "MB/s"),
	}, nil
}

// publicSide is the process of the environment that has the doors.
func (d *Documents) publicSide() (int, error) {
	table, err := processes()
	if err != nil {
		return 0, err
	}
	for _, p := range offspring(table, d.Spine.Environment) {
		words, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
		if err != nil {
			continue // it has ended meanwhile
		}
		if args := strings.Split(string(words), "\x00"); len(args) > 1 && slices.Contains(args[1:], "api") {
			return p.pid, nil
		}
	}
	return 0, errors.New("the environment has no public side")
}

func (d *Documents) citizen(ctx context.Context) (*thread.Citizen, error) {
	c, err := d.Spine.World.NewCitizen()
	if err != nil {
		return nil, err
	}
	if err := c.Register(ctx); err != nil {
		return nil, err
	}
	return c, c.Activate(ctx)
}

// written is a document on the disk of whoever sends it.
type written struct {
	path   string
	size   int64
	sha256 string
}

func (d *Documents) written(s scans) (w written, err error) {
	w.path = filepath.Join(d.Dir, rand.Text()+".pdf")
	file, err := os.Create(w.path)
	if err != nil {
		return w, fmt.Errorf("making a document: %w", err)
	}
	sum := sha256.New()
	buffered := bufio.NewWriterSize(io.MultiWriter(file, sum), 1<<20)
	if err := errors.Join(s.write(buffered), buffered.Flush()); err != nil {
		return w, fmt.Errorf("making a document: %w", err)
	}
	if w.size, err = file.Seek(0, io.SeekCurrent); err != nil {
		return w, fmt.Errorf("making a document: %w", err)
	}
	w.sha256 = hex.EncodeToString(sum.Sum(nil))
	return w, file.Close()
}

// scans is a PDF of pages with a picture each, of so many octets: one picture as
// large as the whole would be refused, for what it unpacks to.
type scans struct{ pages, each int }

func (s scans) write(w io.Writer) error {
	p := &printer{w: w}
	p.print("%%PDF-1.7\n%%\xe2\xe3\xcf\xd3\n")
	catalog, info := p.number(), p.number()
	p.object(info, "<</Title (Expediente) /Producer (rubrica bench)>>")
	var kids []node
	for range s.pages {
		picture := p.picture(s.each)
		content := p.stream("/Filter /FlateDecode", deflated([]byte("q 500 0 0 780 40 30 cm /Im1 Do Q\n")))
		kids = append(kids, node{1, p.number(), fmt.Sprintf(
			"/Type /Page /MediaBox [0 0 595 842] /Contents %d 0 R /Resources <</XObject <</Im1 %d 0 R>>>>", content, picture)})
	}
	p.object(catalog, fmt.Sprintf("<</Type /Catalog /Pages %d 0 R>>", p.tree(kids)))
	p.end(catalog, info)
	return p.err
}

func (w written) forget() { _ = os.Remove(w.path) }

// hash is the limit: the octets are at hand, as they are to whoever receives them.
func (w written) hash() error {
	file, err := os.Open(w.path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it is read only
	_, err = io.Copy(sha256.New(), file)
	return err
}

// pass takes a document through: up, past its citizen, and down.
func (d *Documents) pass(ctx context.Context, public int, citizen *thread.Citizen, w written) (p passage, err error) {
	var id string
	if p.up, p.upElapsed, err = spentOf(public, func() error { id, err = d.upload(ctx, w); return err }); err != nil {
		return p, fmt.Errorf("uploading: %w", err)
	}
	request, err := d.Spine.World.Ask(ctx, citizen, "Expediente", client.NewDocument{
		Name: "expediente.pdf", MediaType: "application/pdf", Format: client.Pades, Upload: &id,
	})
	if err != nil {
		return p, err
	}
	if err := citizen.Sign(ctx, request.SigningURL, thread.Walk{}); err != nil {
		return p, err
	}
	p.down, p.downElapsed, err = spentOf(public, func() error { return d.download(ctx, request.ID, w) })
	if err != nil {
		return p, fmt.Errorf("downloading: %w", err)
	}
	return p, nil
}

func (d *Documents) upload(ctx context.Context, w written) (string, error) {
	file, err := os.Open(w.path)
	if err != nil {
		return "", err
	}
	answer, err := d.Spine.World.Sede.UploadDocumentWithBodyWithResponse(ctx, "application/octet-stream", file, func(_ context.Context, r *http.Request) error {
		r.ContentLength = w.size
		return nil
	})
	if err := client.Check(answer, err); err != nil {
		return "", err
	}
	if answer.JSON201.Sha256 != w.sha256 {
		return "", fmt.Errorf("%s arrived, want %s", answer.JSON201.Sha256, w.sha256)
	}
	return answer.JSON201.ID, nil
}

// download checks that what is signed is what was sent, with something behind it.
func (d *Documents) download(ctx context.Context, request string, w written) error {
	answer, err := d.Spine.World.Sede.GetSignedDocument(ctx, request, 1)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end below
	sum := sha256.New()
	if _, err := io.CopyN(sum, answer.Body, w.size); err != nil {
		return fmt.Errorf("reading an answer (%d): %w", answer.StatusCode, err)
	}
	behind, err := io.Copy(io.Discard, answer.Body)
	if err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != w.sha256 || behind == 0 {
		return fmt.Errorf("%s came, and %d octets behind it; want %s and a signature", got, behind, w.sha256)
	}
	return nil
}

// spentOf is what something took: of a process, with all its threads, and on the
// clock. The threads of a Go program stay.
func spentOf(pid int, do func() error) (cpu, elapsed float64, err error) {
	before, err := allThreads(pid)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := do(); err != nil {
		return 0, 0, err
	}
	elapsed = time.Since(began).Seconds()
	after, err := allThreads(pid)
	return (after - before).Seconds(), elapsed, err
}

// allThreads is the processor time of a process, to the nanosecond.
func allThreads(pid int) (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("finding the threads of %d: %w", pid, errors.Join(err, os.ErrNotExist))
	}
	var total time.Duration
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		on, _, _ := bytes.Cut(text, []byte(" "))
		n, err := strconv.ParseInt(string(on), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading the processor time of a thread: %w", err)
		}
		total += time.Duration(n)
	}
	return total, nil
}
