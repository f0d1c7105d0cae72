package bouncycastle

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing" //nolint:depguard // a helper of tests, as the packages internal/*test are
	"time"
)

//go:embed *.java
var sources embed.FS

// jars are where Debian puts BouncyCastle (libbcprov-java, libbcpkix-java, and
// what the latter depends on) and PDFBox (libpdfbox2-java, and what it depends on;
// its Preflight needs libactivation-java and libjaxb-api-java, too).
const jars = "/usr/share/java/bcprov.jar:/usr/share/java/bcpkix.jar:/usr/share/java/bcutil.jar:" +
	"/usr/share/java/pdfbox2.jar:/usr/share/java/fontbox2.jar:/usr/share/java/commons-logging.jar:" +
	"/usr/share/java/preflight.jar:/usr/share/java/xmpbox.jar:/usr/share/java/javax.activation.jar:/usr/share/java/jaxb-api.jar"

const (
	// patience is far above what a start on a loaded machine takes, and an answer.
	patience = 2 * time.Minute
	// maxField bounds what a broken program could make this side allocate.
	maxField = 64 << 20
)

// process is the Java machine of this test binary. It is started by the first
// question and ends by itself with the binary, when its input closes: a start
// takes a second, an answer milliseconds.
var process jvm

type jvm struct {
	mu     sync.Mutex
	err    error // why there is none
	cmd    *exec.Cmd
	in     *bufio.Writer
	out    *bufio.Reader
	stderr lockedBuffer
}

// pair is a name with its value; questions and answers are lists of them.
type pair struct {
	name  string
	value []byte
}

// ask puts a question and fails the test where there is no answer at all: Java
// or BouncyCastle is missing, or the program broke.
func ask(tb testing.TB, question ...pair) []pair {
	tb.Helper()
	process.mu.Lock()
	defer process.mu.Unlock()
	answer, err := process.ask(question)
	if err != nil {
		tb.Fatalf("asking BouncyCastle (.ci/deps test installs it): %v\n%s", err, process.stderr.String())
	}
	return answer
}

func (j *jvm) ask(question []pair) ([]pair, error) {
	if j.err == nil && j.cmd == nil {
		j.err = j.start()
	}
	if j.err != nil {
		return nil, j.err
	}
	answer, err := j.exchange(question)
	if err != nil {
		j.err = err // the stream is out of step: nothing that follows could be trusted
		_ = j.cmd.Process.Kill()
	}
	return answer, err
}

// start runs the program, which says when it is ready.
func (j *jvm) start() error {
	for jar := range strings.SplitSeq(jars, ":") {
		if _, err := os.Stat(jar); err != nil {
			return fmt.Errorf("finding BouncyCastle and PDFBox: %w", err)
		}
	}
	dir, err := program()
	if err != nil {
		return err
	}
	cmd := exec.Command("java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", jars+":"+dir, "Judge") //nolint:noctx // lives as long as the test binary
	cmd.Stderr = &j.stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("opening its input: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("opening its output: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting Java: %w", err)
	}
	j.cmd, j.in, j.out = cmd, bufio.NewWriter(in), bufio.NewReader(out)
	_, err = j.receive()
	return err
}

// program gives the directory with the compiled program: compiling costs more than
// a start. It is named by what is in it, and put in its place as a whole, so that test
// binaries that run at the same time do not meet half of it.
func program() (string, error) {
	files, err := fs.Glob(sources, "*.java")
	if err != nil {
		return "", fmt.Errorf("finding the program: %w", err)
	}
	name := sha256.New()
	for _, file := range files {
		content, err := sources.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("reading %s: %w", file, err)
		}
		name.Write(content)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	cache = filepath.Join(cache, "rubrica-tests")
	dir := filepath.Join(cache, fmt.Sprintf("bouncycastle-%x", name.Sum(nil)[:8]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", fmt.Errorf("making a cache: %w", err)
	}
	fresh, err := os.MkdirTemp(cache, "bouncycastle-new-")
	if err != nil {
		return "", fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(fresh) //nolint:errcheck // it has been moved, or harms nobody
	if err := compile(fresh, files); err != nil {
		return "", err
	}
	if err := os.Rename(fresh, dir); err != nil {
		if _, there := os.Stat(dir); there != nil {
			return "", fmt.Errorf("putting the program in place: %w", err)
		}
	}
	return dir, nil
}

func compile(dir string, files []string) error {
	if err := os.CopyFS(dir, sources); err != nil {
		return fmt.Errorf("writing the program: %w", err)
	}
	args := append([]string{"-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-proc:none", "-nowarn", "-cp", jars}, files...)
	cmd := exec.Command("javac", args...) //nolint:noctx // a second or two
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("compiling the program: %w\n%s", err, out)
	}
	return nil
}

func (j *jvm) exchange(question []pair) ([]pair, error) {
	for _, n := range frame(question) {
		if _, err := j.in.Write(n); err != nil {
			return nil, fmt.Errorf("asking: %w", err)
		}
	}
	if err := j.in.Flush(); err != nil {
		return nil, fmt.Errorf("asking: %w", err)
	}
	return j.receive()
}

func frame(pairs []pair) [][]byte {
	length := func(n int) []byte {
		return binary.BigEndian.AppendUint32(nil, uint32(n)) //nolint:gosec // lengths of test data
	}
	parts := [][]byte{length(len(pairs))}
	for _, p := range pairs {
		parts = append(parts, length(len(p.name)), []byte(p.name), length(len(p.value)), p.value)
	}
	return parts
}

func (j *jvm) receive() ([]pair, error) {
	watchdog := time.AfterFunc(patience, func() { _ = j.cmd.Process.Kill() })
	defer watchdog.Stop()
	var count uint32
	if err := binary.Read(j.out, binary.BigEndian, &count); err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	var pairs []pair
	for range count {
		name, err := j.field()
		if err != nil {
			return nil, err
		}
		value, err := j.field()
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, pair{string(name), value})
	}
	return pairs, nil
}

func (j *jvm) field() ([]byte, error) {
	var length uint32
	if err := binary.Read(j.out, binary.BigEndian, &length); err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if length > maxField {
		return nil, errors.New("reading the answer: a field too long")
	}
	value := make([]byte, length)
	if _, err := io.ReadFull(j.out, value); err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return value, nil
}

// lockedBuffer is written while the machine runs and read when a test fails.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
