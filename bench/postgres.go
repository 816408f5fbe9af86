package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

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
