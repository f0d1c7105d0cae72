package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rubrica-firma/rubrica/internal/scratch"
	"github.com/rubrica-firma/rubrica/internal/thread"
	"github.com/rubrica-firma/rubrica/signer/sandbox"
)

// TestGuides does what docs/integrate and docs/api.md say, as a developer who
// pastes it into a terminal, in one sandbox: every block of shell, and in a browser
// what stands between them.
func TestGuides(t *testing.T) { //nolint:tparallel // guides share the sandbox, its citizens and a port
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "..", "docs", "integrate", "*.md"))
	if err != nil || len(files) < 5 {
		t.Fatalf("got guides %v, want five: %v", files, err)
	}
	world := newGuideWorld(t)
	for _, file := range append(files, reference) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".md"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := &reader{tab: newTab(t), shell: newShell(t, world.desk(t))}
			blocks := read(world.addresses.Replace(string(text)))
			if file == reference {
				blocks[0].text = world.addresses.Replace(theirs)
				blocks = slices.DeleteFunc(blocks, func(b block) bool { return b.kind == "json" || b.kind == "" }) // told in part
			} else if !slices.ContainsFunc(blocks, func(b block) bool { return b.kind == "sh sandbox" && b.text == upSandbox }) {
				t.Errorf("it does not say how the sandbox is started: %s", upSandbox)
			}
			for _, b := range blocks {
				r.do(b)
			}
		})
	}
}

// reference is no guide: whoever reads it has a deployment, an application, an
// office and files of their own, which its first block stands for.
const reference = "../../docs/api.md"

const theirs = `
add() { bin/rubrica app add --config var/rubrica.toml --organisation "Ayuntamiento de Prueba" "$@"; }
add --name "Mi sede" --return-url http://localhost:8081/vuelta --output app.json
add --name "Mi oficina" --scope registration --output office.json
rubrica() { bin/rubrica "$@"; }
cp var/log-policy.txt policy.txt
curl -sf http://localhost:8081/ejemplo.pdf | tee solicitud.pdf expediente.pdf > contrato.pdf
RUBRICA=http://localhost:8080 CLIENT=$(jq -r .client_id app.json) SECRET=$(jq -r .client_secret app.json)
`

// upSandbox is how guides have a sandbox started; the test adds where.
const upSandbox = "bin/rubrica up --sandbox\n"

// guideWorld is the sandbox of all guides.
type guideWorld struct {
	*environment

	// addresses are put in the place of those that the guides name.
	addresses *strings.Replacer
}

func newGuideWorld(t *testing.T) guideWorld {
	t.Helper()
	home, err := directory(filepath.Dir(shared.dir))
	if err != nil {
		t.Fatal(err)
	}
	e := &environment{program: shared.program, dir: filepath.Join(home, "v"), failpoint: filepath.Join(home, "none")}
	e.args = append(strings.Fields(upSandbox)[1:], "--dir", e.dir)
	var own []string
	for _, flag := range []string{"--listen", "--sede", "--smtp", "--inbox", "--witness", "--auditor", "--registrar", "--certificates", ""} {
		address, err := scratch.Address()
		if err != nil {
			t.Fatal(err)
		}
		own = append(own, address)
		if flag != "" {
			e.args = append(e.args, flag, address)
		}
	}
	e.world = &thread.World{Service: local(own[0]), Inbox: local(own[3]), ReturnURL: local(own[1]) + "/vuelta"}
	e.listen = own[0]
	_, receiver, _ := strings.Cut(own[8], ":")
	_, sede, _ := strings.Cut(own[1], ":")
	if err := e.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(e.settled(context.WithoutCancel(t.Context())), e.stop(syscall.SIGINT)); err != nil {
			t.Errorf("after the guides: %v", err)
		}
	})
	_, service, _ := strings.Cut(own[0], ":")
	return guideWorld{e, strings.NewReplacer("http://localhost:8080", e.world.Service, "localhost:8081", "localhost:"+sede,
		"localhost%3A8081", "localhost%3A"+sede, "8090", receiver, "localhost:8080", "localhost:"+service,
		"https://sede.example.es/vuelta", e.world.ReturnURL, "12345678Z", "99999101T", "X1234567L", "99999102R")}
}

// desk is a directory that looks like the top of the source tree to whoever
// follows a guide.
func (w guideWorld) desk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	docs, err := filepath.Abs(filepath.Join("..", "..", "docs"))
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(os.Mkdir(filepath.Join(dir, "bin"), 0o755), os.Symlink(docs, filepath.Join(dir, "docs")),
		os.Symlink(w.program, filepath.Join(dir, "bin", "rubrica")), os.Symlink(w.dir, filepath.Join(dir, "var")))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// block is a fenced block of a guide: what stands after the fence, and inside.
type block struct{ kind, text string }

// read finds the blocks: `sh` is run, the last line that `sh page` prints is
// opened in the browser, that of `sh code` typed into the page, and what `prints`
// is what the blocks of shell since the last one have printed.
func read(guide string) (blocks []block) {
	for _, found := range regexp.MustCompile("(?ms)^ *```([^\n]*)\n(.*?)^ *```$").FindAllStringSubmatch(guide, -1) {
		blocks = append(blocks, block{found[1], found[2]})
	}
	return blocks
}

// reader is who follows a guide, with a terminal and a browser.
type reader struct {
	*tab

	shell   *shell
	printed string // by the block before
}

func (r *reader) do(b block) {
	r.Helper()
	switch kind, prints := strings.CutSuffix(b.kind, " prints"); {
	case prints && (kind == "text" || kind == "json"):
		if diff := cmp.Diff(b.text, r.printed); diff != "" {
			r.Errorf("what is printed differs (-guide +terminal):\n%s", diff)
		}
	case kind == "sh sandbox": // it runs
	case kind == "sh":
		r.run(b.text)
	case kind == "sh page":
		r.run(b.text)
		r.open(r.last())
		r.walk()
	case kind == "sh code":
		r.run(b.text)
		r.fill("code", r.last())
		r.press(`form[action$="/confirmar"] button`)
	default:
		r.Fatalf("a block of kind %q: nobody knows what to do with it", b.kind)
	}
}

// run pastes a block into the terminal, and where it reads one, the address of
// the page that is open.
func (r *reader) run(text string) {
	r.Helper()
	if regexp.MustCompile(`(?m)^read -r `).MatchString(text) {
		r.shell.paste(r.address().String())
	}
	r.printed = r.shell.run(text)
}

// last is the last line that was printed.
func (r *reader) last() string {
	lines := strings.Split(strings.TrimSpace(r.printed), "\n")
	return lines[len(lines)-1]
}

// walk goes on until a code is asked for, or nothing.
func (r *reader) walk() {
	r.Helper()
	for range 3 {
		switch eval[string](r.tab, `document.querySelector("input[name=password]") ? "password" : location.pathname.split("/").pop()`) {
		case "password":
			r.fill("identifier", "99999101T")
			r.fill("password", sandbox.Password)
			r.press(`form:has([name=password]) button[type=submit]`)
		case "revisar":
			r.press(`form[action$="/codigo"] button`)
		default:
			return
		}
	}
}

// shell is a terminal in which blocks run one after the other.
type shell struct {
	*testing.T

	blocks, input io.Writer
	output        *bufio.Reader
	problems      bytes.Buffer
}

func newShell(t *testing.T, dir string) *shell {
	t.Helper()
	blocks, give, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	output, print, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &shell{T: t, blocks: give, output: bufio.NewReader(output)}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c",
		`while IFS= read -r -d '' block <&3; do eval "$block" 3<&-; printf '\0'; done`)
	cmd.Dir, cmd.ExtraFiles, cmd.Stdout, cmd.Stderr = dir, []*os.File{blocks}, print, &s.problems
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if s.input, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = blocks.Close()
	_ = print.Close()
	t.Cleanup(func() {
		_ = give.Close()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // with what a guide left in the background
		_ = cmd.Wait()
		_ = output.Close()
	})
	return s
}

func (s *shell) paste(line string) {
	s.Helper()
	if _, err := fmt.Fprintln(s.input, line); err != nil {
		s.Fatal(err)
	}
}

// run returns what the block prints. A block one of whose commands fails ends
// the shell, and the test.
func (s *shell) run(text string) string {
	s.Helper()
	if _, err := io.WriteString(s.blocks, text+"\x00"); err != nil {
		s.Fatal(err)
	}
	printed, err := s.output.ReadString(0)
	if err != nil {
		s.Fatalf("this fails:\n%s\nand prints:\n%s\n%s", text, printed, &s.problems)
	}
	return strings.TrimSuffix(printed, "\x00")
}
