package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgres is a private PostgreSQL, for River. Since it keeps no promise to
// the disk either, it is compared with a Redis without persistence.
type postgres struct {
	cmd *exec.Cmd
	dir string
	url string // of its database postgres; the postmaster's process ID is its application_name
}

// postgresSettings are what differs from PostgreSQL's defaults.
var postgresSettings = []string{
	"fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=256MB", "max_wal_size=4GB", "max_connections=200",
}

// startPostgres makes a cluster in a temporary directory and starts it; as the
// user postgres where this is root, who cannot.
func startPostgres(ctx context.Context) (*postgres, error) {
	bin, err := postgresBinaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "stint-bench-")
	if err != nil {
		return nil, err
	}
	p := &postgres{dir: dir}
	if err := p.start(ctx, bin); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *postgres) start(ctx context.Context, bin string) error {
	who, err := unprivileged(p.dir)
	if err != nil {
		return err
	}
	data := filepath.Join(p.dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C")
	initdb.Dir = p.dir
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	args := []string{"-D", data, "-p", port, "-h", loopback, "-k", p.dir}
	for _, s := range postgresSettings {
		args = append(args, "-c", s)
	}
	p.cmd = exec.Command(filepath.Join(bin, "postgres"), args...)
	p.cmd.Dir = p.dir
	dieWithParent(p.cmd)
	if p.cmd.SysProcAttr == nil {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	p.cmd.SysProcAttr.Credential = who
	if err := p.cmd.Start(); err != nil {
		return err
	}
	u := url.URL{Scheme: "postgres", User: url.User("postgres"), Host: net.JoinHostPort(loopback, port), Path: "postgres"}
	u.RawQuery = url.Values{"application_name": {strconv.Itoa(p.cmd.Process.Pid)}}.Encode()
	p.url = u.String()
	return eventually(ctx, "postgres does not answer", func() bool {
		conn, err := pgx.Connect(ctx, p.url)
		if err != nil {
			return false
		}
		return conn.Close(ctx) == nil
	})
}

// unprivileged is the user postgres, who then owns dir, where this is root;
// else nobody else.
func unprivileged(dir string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // no other user is needed
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("root cannot run PostgreSQL: %w", err)
	}
	uid, uerr := strconv.Atoi(u.Uid)
	gid, gerr := strconv.Atoi(u.Gid)
	if err := errors.Join(uerr, gerr, os.Chown(dir, uid, gid)); err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// postgresBinaries finds the newest installed PostgreSQL.
func postgresBinaries() (string, error) {
	var found []string
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin/initdb", "/usr/*/pgsql*/bin/initdb", "/opt/homebrew/opt/postgresql*/bin/initdb"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		found = append(found, paths...)
	}
	if path, err := exec.LookPath("initdb"); err == nil && len(found) == 0 {
		found = append(found, path)
	}
	if len(found) == 0 {
		return "", errors.New("there is no PostgreSQL; `script/postgres` installs one")
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}

// close ends the server at once and removes its files.
func (p *postgres) close() {
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Signal(syscall.SIGQUIT)
		_ = p.cmd.Wait()
	}
	_ = os.RemoveAll(p.dir)
}

// database is a database of its own for one measurement.
type database struct {
	url        string
	postmaster int
	conn       *pgx.Conn
}

// createDatabase makes a new database on a server that startPostgres started.
func createDatabase(ctx context.Context, server string) (*database, error) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(u.Query().Get("application_name"))
	if err != nil {
		return nil, err
	}
	admin, err := pgx.Connect(ctx, server)
	if err != nil {
		return nil, err
	}
	defer func() { _ = admin.Close(ctx) }()
	name := fmt.Sprintf("bench%d", os.Getpid())
	if _, err := admin.Exec(ctx, "create database "+name); err != nil {
		return nil, err
	}
	u.Path = name
	conn, err := pgx.Connect(ctx, u.String())
	if err != nil {
		return nil, err
	}
	return &database{url: u.String(), postmaster: pid, conn: conn}, nil
}

func (d *database) close(ctx context.Context) { _ = d.conn.Close(ctx) }

// usage is the CPU of all processes of the server, and the size of the
// database, which is never less than before.
func (d *database) usage(ctx context.Context) (usage, error) {
	var size int64
	if err := d.conn.QueryRow(ctx, "select pg_database_size(current_database())").Scan(&size); err != nil {
		return usage{}, err
	}
	cpu, err := cpuOfTree(d.postmaster)
	return usage{cpu: cpu, memory: size, peak: size}, err
}

// clockTick is Linux's unit of CPU time in /proc, on every machine.
const clockTick = 10 * time.Millisecond

// cpuOfTree is the CPU time of a process and its children, past and present.
func cpuOfTree(pid int) (time.Duration, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended: its parent has its time
		}
		id, parent, own, ended := parseStat(string(text))
		switch {
		case id == pid:
			sum += own + ended
		case parent == pid:
			sum += own
		}
	}
	return sum, nil
}

// parseStat reads a line of /proc/PID/stat: the process, its parent, its CPU
// time and that of its children which have ended.
func parseStat(line string) (pid, parent int, own, ended time.Duration) {
	head, rest, _ := strings.Cut(line, " (")
	pid, _ = strconv.Atoi(head)
	f := strings.Fields(rest[strings.LastIndex(rest, ")")+1:]) // a name may hold blanks
	const wantFields = 15
	if len(f) < wantFields {
		return 0, 0, 0, 0
	}
	parent, _ = strconv.Atoi(f[1])
	ticks := func(i int) time.Duration {
		n, _ := strconv.ParseInt(f[i], 10, 64)
		return time.Duration(n) * clockTick
	}
	return pid, parent, ticks(11) + ticks(12), ticks(13) + ticks(14)
}
