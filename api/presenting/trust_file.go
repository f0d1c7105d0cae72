package presenting

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Trust is who may vouch for people now. *TrustFile and *TrustList fulfil it.
type Trust interface {
	List(ctx context.Context) *TrustList
}

// List implements Trust: a list by itself never changes.
func (t *TrustList) List(context.Context) *TrustList { return t }

// TrustFile is a trust list that is read again when its file, or one of a
// certificate that it names, has changed. It is safe for concurrent use.
type TrustFile struct {
	path   string
	logger *slog.Logger

	mu   sync.Mutex
	seen files // also of a list that is not in order
	list *TrustList
}

// stamp tells a file from what it was. That of a file that is not there is zero.
type stamp struct {
	size     int64
	modified time.Time
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{info.Size(), info.ModTime()}
}

// files are those of a list, each as it was before it was read.
type files map[string]stamp

func (f files) read(path string) ([]byte, error) {
	f[path] = stampOf(path)
	return os.ReadFile(path)
}

// changed is whether one of them is another than was read.
func (f files) changed() bool {
	for path, was := range f {
		if stampOf(path) != was {
			return true
		}
	}
	return false
}

// OpenTrustFile reads a trust list as OpenTrust does.
func OpenTrustFile(path string, logger *slog.Logger) (*TrustFile, error) {
	f := &TrustFile{path: path, logger: logger}
	return f, f.refresh()
}

// List is the list as its files are. Files that are not in order leave what was
// there before, whole; that is told once for each change.
func (f *TrustFile) List(ctx context.Context) *TrustList {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.seen.changed() {
		return f.list
	}
	if err := f.refresh(); err != nil {
		f.logger.WarnContext(ctx, "trust_list_not_in_order", "error", err)
	} else {
		f.logger.InfoContext(ctx, "trust_list_read", "authorities", len(f.list.authorities))
	}
	return f.list
}

func (f *TrustFile) refresh() error {
	f.seen = files{}
	list, err := readTrust(f.path, f.seen)
	if err == nil {
		f.list = list
	}
	return err
}
