package dev

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rubrica-firma/rubrica/internal/postgres"
)

// Databases are the addresses of the one database, by role. They hold no
// password: each names a file that does (libpq's passfile).
type Databases struct {
	Owner     string // owns the schema, runs the migrations
	API       string // role rubrica_api
	Signer    string // role rubrica_signer
	Auditor   string // role rubrica_auditor
	Registrar string // role rubrica_registrar
}

const (
	roleOwner     = "rubrica_owner"
	roleAPI       = "rubrica_api"
	roleSigner    = "rubrica_signer"
	roleAuditor   = "rubrica_auditor"
	roleRegistrar = "rubrica_registrar"
)

// cluster describes the private PostgreSQL of a data directory.
func cluster(d *directory, sockets string, log *os.File) (*postgres.Cluster, error) {
	_, password, err := d.secret("postgres")
	if err != nil {
		return nil, err
	}
	c := &postgres.Cluster{
		Dir:       d.join("postgres", "data"),
		SocketDir: filepath.Join(sockets, "postgres"),
		Password:  password,
		Log:       log,
		Orphaned:  syscall.SIGINT,
	}
	if err := os.MkdirAll(filepath.Dir(c.Dir), 0o711); err != nil { //nolint:gosec // PostgreSQL's user passes through it
		return nil, failure(StatusDirectory, "making a directory for PostgreSQL: %w", err)
	}
	if err := postgres.Own(filepath.Dir(c.Dir)); err != nil {
		return nil, failure(StatusDirectory, "%w", err)
	}
	if err := postgres.Own(c.SocketDir); err != nil {
		return nil, failure(StatusDirectory, "%w", err)
	}
	return c, nil
}

// createDatabase makes the database and its owner, who may create roles but is
// no superuser, as in production.
func createDatabase(ctx context.Context, d *directory, c *postgres.Cluster) (Databases, error) {
	_, password, err := d.secret(roleOwner)
	if err != nil {
		return Databases{}, err
	}
	admin, err := connect(ctx, c.URL(postgres.Superuser, c.Password, "postgres"))
	if err != nil {
		return Databases{}, failure(StatusDatabase, "connecting to PostgreSQL: %w", err)
	}
	defer func() { _ = admin.Close(context.WithoutCancel(ctx)) }()
	if err := createRole(ctx, admin, roleOwner, password); err != nil {
		return Databases{}, failure(StatusDatabase, "creating the owner of the database: %w", err)
	}
	var exists bool
	if err := admin.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'rubrica')`).Scan(&exists); err != nil {
		return Databases{}, failure(StatusDatabase, "looking for the database: %w", err)
	}
	if !exists {
		if _, err := admin.Exec(ctx, `CREATE DATABASE rubrica OWNER rubrica_owner`); err != nil {
			return Databases{}, failure(StatusDatabase, "creating the database: %w", err)
		}
	}
	owner, err := passfile(d, roleOwner, password)
	if err != nil {
		return Databases{}, err
	}
	return databases(d, c.URL(roleOwner, "", "rubrica"), owner)
}

// existingDatabase uses a server that somebody else runs; address is that of a
// role that owns the database and may create roles.
func existingDatabase(ctx context.Context, d *directory, address string) (Databases, error) {
	conn, err := connect(ctx, address)
	if err != nil {
		return Databases{}, failure(StatusDatabase, "connecting to the database given with --database: %w", err)
	}
	config := conn.Config()
	_ = conn.Close(ctx)
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" {
		return Databases{}, failure(StatusDatabase, "--database is not a postgres:// address")
	}
	owner := u.Query().Get("passfile")
	if config.Password != "" {
		if owner, err = passfile(d, config.User, config.Password); err != nil {
			return Databases{}, err
		}
	}
	u.User = url.User(config.User)
	return databases(d, u.String(), owner)
}

// databases derives the addresses of the roles from one.
func databases(d *directory, address, ownerPassfile string) (Databases, error) {
	u, err := url.Parse(address)
	if err != nil {
		return Databases{}, failure(StatusDatabase, "reading the address of the database: %w", err)
	}
	withPassfile := func(user *url.Userinfo, file string) string {
		v := *u
		v.User = user
		query := v.Query()
		if file != "" {
			query.Set("passfile", file)
		}
		v.RawQuery = query.Encode()
		return v.String()
	}
	return Databases{
		Owner:     withPassfile(u.User, ownerPassfile),
		API:       withPassfile(url.User(roleAPI), d.join("secrets", roleAPI+".pgpass")),
		Signer:    withPassfile(url.User(roleSigner), d.join("secrets", roleSigner+".pgpass")),
		Auditor:   withPassfile(url.User(roleAuditor), d.join("secrets", roleAuditor+".pgpass")),
		Registrar: withPassfile(url.User(roleRegistrar), d.join("secrets", roleRegistrar+".pgpass")),
	}, nil
}

// letServicesIn gives the roles that the migrations made their passwords.
func letServicesIn(ctx context.Context, d *directory, db Databases) error {
	owner, err := connect(ctx, db.Owner)
	if err != nil {
		return failure(StatusDatabase, "connecting to the database: %w", err)
	}
	defer func() { _ = owner.Close(context.WithoutCancel(ctx)) }()
	for _, role := range []string{roleAPI, roleSigner, roleAuditor, roleRegistrar} {
		_, password, err := d.secret(role)
		if err != nil {
			return err
		}
		if _, err := passfile(d, role, password); err != nil {
			return err
		}
		if err := setPassword(ctx, owner, role, password); err != nil {
			return failure(StatusDatabase, "setting the password of role %s: %w", role, err)
		}
	}
	return nil
}

func createRole(ctx context.Context, admin *pgx.Conn, role, password string) error {
	var exists bool
	if err := admin.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`, role).Scan(&exists); err != nil {
		return fmt.Errorf("looking for role %s: %w", role, err)
	}
	if !exists {
		if _, err := admin.Exec(ctx, "CREATE ROLE "+pgx.Identifier{role}.Sanitize()+" LOGIN CREATEROLE"); err != nil {
			return fmt.Errorf("creating role %s: %w", role, err)
		}
	}
	return setPassword(ctx, admin, role, password)
}

// setPassword relies on our secrets being letters and digits: ALTER ROLE takes
// no parameters.
func setPassword(ctx context.Context, conn *pgx.Conn, role, password string) error {
	for _, r := range password {
		if (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return errors.New("the password file holds something else than letters and digits")
		}
	}
	_, err := conn.Exec(ctx, "ALTER ROLE "+pgx.Identifier{role}.Sanitize()+" LOGIN PASSWORD '"+password+"'")
	if err != nil {
		return fmt.Errorf("altering role %s: %w", role, err)
	}
	return nil
}

// passfile writes a password in the form that libpq and pgx read.
func passfile(d *directory, role, password string) (string, error) {
	name := filepath.Join("secrets", role+".pgpass")
	escape := strings.NewReplacer(`\`, `\\`, `:`, `\:`)
	return d.join(name), d.write(name, "*:*:*:"+escape.Replace(role)+":"+escape.Replace(password)+"\n")
}

func connect(ctx context.Context, address string) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return conn, nil
}
