//go:build postgres

// Package pgtest runs private PostgreSQL servers for tests, with the programs that Debian's package
// postgresql installs.
//
// A server lives in a temporary directory, and listens on loopback at a port that the kernel
// chooses. It runs as an unprivileged user, because PostgreSQL refuses root. A test may kill it
// like any process and start it again on the same data.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"viakv/node/database/dbtest"
)

// Password is the password of the superuser "viakv". It is odd on purpose: it must pass through
// URLs, and must never show up in a text.
const Password = "s3cr%t/@:pass word"

// startPatience is how long a server may take to answer, including recovery after a kill.
const startPatience = 60 * time.Second

// Server is one PostgreSQL cluster.
type Server struct {
	Port int

	programs string
	dir      string
	asUser   *syscall.Credential // nil: this process is unprivileged itself
	process  *exec.Cmd
	exited   chan struct{}
}

// Start makes and starts a server. The caller must Close it.
func Start() (*Server, error) {
	s := &Server{}
	var err error
	if s.programs, err = programs(); err != nil {
		return nil, err
	}
	if s.asUser, err = unprivileged(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "viakv-pg-"); err != nil {
		return nil, err
	}
	if err := s.initialize(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	if err := s.Restart(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	return s, nil
}

// programs returns the directory of initdb and postgres. Debian keeps them out of the path.
func programs() (string, error) {
	if dir := os.Getenv("VIAKV_POSTGRES_BIN"); dir != "" {
		return dir, nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("no PostgreSQL server here: apt-get install postgresql, or name its directory in VIAKV_POSTGRES_BIN")
	}
	return filepath.Dir(found[len(found)-1]), nil
}

// unprivileged returns the user to run the server as: nil when this process is not root, otherwise
// Debian's postgres or, without that, nobody.
func unprivileged() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("root may not run PostgreSQL, and there is neither a user postgres nor nobody")
}

func (s *Server) initialize() error {
	password := filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte(Password+"\n"), 0o600); err != nil {
		return err
	}
	if s.asUser != nil {
		for _, path := range []string{s.dir, password} {
			if err := os.Chown(path, int(s.asUser.Uid), int(s.asUser.Gid)); err != nil {
				return err
			}
		}
	}
	// The collation is a linguistic one on purpose: the store's order must not depend on it.
	init := s.command("initdb", "-D", s.data(), "-U", "viakv", "--pwfile", password, "-A", "scram-sha-256", "-E", "UTF8",
		"--locale-provider=icu", "--icu-locale=en-US", "--locale=C.UTF-8", "--no-sync")
	if out, err := init.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return os.Remove(password)
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(program string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(s.programs, program), args...)
	c.Dir = s.dir
	c.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.asUser, Setpgid: true}
	return c
}

// Restart starts the server on its data and waits until it answers. The port is the same as before,
// if there was one.
func (s *Server) Restart() error {
	until := time.Now().Add(startPatience)
	var err error
	for time.Now().Before(until) {
		if err = s.start(until); err == nil {
			return nil
		}
		// Another process has taken the port meanwhile, or children of a killed server still hold
		// its memory.
	}
	return err
}

func (s *Server) start(until time.Time) error {
	if s.Port == 0 {
		var err error
		if s.Port, err = dbtest.FreePort(); err != nil {
			return err
		}
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	c := s.command("postgres", "-D", s.data(), "-p", strconv.Itoa(s.Port), "-k", s.dir,
		"-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "fsync=off")
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		return err
	}
	s.process, s.exited = c, make(chan struct{})
	go func(exited chan struct{}) {
		_ = c.Wait() // only that it ended counts; the log says why
		close(exited)
	}(s.exited)
	for {
		if err := s.answers(); err == nil {
			return nil
		} else if time.Now().After(until) {
			s.Kill()
			return fmt.Errorf("the server does not answer: %w", err)
		}
		select {
		case <-s.exited:
			text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("the server ended: %s", text[max(0, len(text)-1000):])
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *Server) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// Kill ends the server as a crash does: SIGKILL to the postmaster, whose children then end by
// themselves.
func (s *Server) Kill() {
	_ = s.process.Process.Kill() // a process that is gone already is as good
	<-s.exited
}

// Close stops the server and removes its data.
func (s *Server) Close() error {
	_ = s.process.Process.Signal(syscall.SIGQUIT) // immediate shutdown
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
		s.Kill()
	}
	return os.RemoveAll(s.dir)
}

// URL returns the URL of a database, for the superuser.
func (s *Server) URL(database string) string { return s.URLFor("viakv", Password, database) }

// URLFor returns the URL of a database for any user.
func (s *Server) URLFor(name, password, database string) string {
	return fmt.Sprintf("postgres://%v@127.0.0.1:%d/%s?sslmode=disable", url.UserPassword(name, password), s.Port, database)
}

// Database creates an empty database and returns its name.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("t%d", time.Now().UnixNano())
	s.Exec(t, "postgres", "CREATE DATABASE "+name)
	return name
}

// Exec runs statements as the superuser.
func (s *Server) Exec(t testing.TB, database string, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL(database))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}
