package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rubrica-firma/rubrica/api/pages"
	"github.com/rubrica-firma/rubrica/notify/catalogue"
)

// PagesCommand writes what people see, in every state, for review.
type PagesCommand struct {
	Dir      string   `arg:"" help:"Directory to write to." type:"path"`
	Language []string `help:"Languages (es, ca, ca-valencia, gl, eu, en); all by default."`
	// Chromium draws what a reader sees, of the height of the page.
	Screenshots bool   `help:"Take a picture of each page, with Chromium."`
	Width       int    `help:"Width of the pictures, pixels." default:"1280"`
	Page        string `help:"Take pictures of the pages whose name begins so, such as presented."`
	Chromium    string `help:"The browser that takes them." default:"chromium"`
	// Organisation, LogoText and Accent are APICommand's.
	Organisation string `help:"Who runs the service, for the pages' head." default:"Ayuntamiento de Gijón"`
	LogoText     string `help:"Short name beside the mark." default:"Rúbrica"`
	Accent       string `help:"Colour of links and buttons, #rrggbb."`
}

// Run writes the pages.
func (c *PagesCommand) Run(ctx context.Context) error {
	sentences, err := catalogue.New()
	if err != nil {
		return fmt.Errorf("loading the catalogue: %w", err)
	}
	drawn, err := pages.New(pages.Options{
		Catalogue: sentences, Logger: slog.Default(),
		Branding: pages.Branding{LogoText: c.LogoText, Organisation: c.Organisation, Accent: c.Accent},
	})
	if err != nil {
		return fmt.Errorf("preparing the pages: %w", err)
	}
	if err := drawn.Write(c.Dir, time.Now(), c.Language...); err != nil {
		return err
	}
	written, err := filepath.Glob(filepath.Join(c.Dir, "*", "*.html"))
	if err != nil {
		return fmt.Errorf("looking for the pages: %w", err)
	}
	fmt.Println("pages:", len(written))
	if !c.Screenshots {
		return nil
	}
	return c.photograph(ctx, written)
}

// photograph takes a picture beside each page. Browsers show no symbols of files
// that no server sends.
func (c *PagesCommand) photograph(ctx context.Context, written []string) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening for the browser: %w", err)
	}
	server := &http.Server{Handler: http.FileServer(http.Dir(c.Dir)), ReadHeaderTimeout: time.Second, ReadTimeout: time.Second}
	defer server.Close() //nolint:errcheck // the command ends
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			slog.ErrorContext(ctx, "pages_not_served", "error", err)
		}
	}()
	for _, page := range written {
		if !strings.HasPrefix(filepath.Base(page), c.Page) {
			continue
		}
		name, err := filepath.Rel(c.Dir, page)
		if err != nil {
			return fmt.Errorf("naming a page: %w", err)
		}
		address := url.URL{Scheme: "http", Host: listener.Addr().String(), Path: "/" + filepath.ToSlash(name)}
		if err := c.picture(ctx, address.String(), strings.TrimSuffix(page, ".html")+".png"); err != nil {
			return err
		}
	}
	return nil
}

func (c *PagesCommand) picture(ctx context.Context, address, file string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	arguments := []string{
		"--headless=new", "--hide-scrollbars", "--disable-gpu", "--window-size=" + strconv.Itoa(c.Width) + ",1600", "--screenshot=" + file, address,
	}
	if os.Getuid() == 0 { // Chromium's sandbox does not start as root
		arguments = append([]string{"--no-sandbox"}, arguments...)
	}
	if out, err := exec.CommandContext(ctx, c.Chromium, arguments...).CombinedOutput(); err != nil {
		return fmt.Errorf("taking a picture of %s: %w: %s", address, err, out)
	}
	return nil
}
