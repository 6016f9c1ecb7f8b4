package main

import (
	"database/sql"
	"fmt"
	"net/http"
	"time"

	_ "github.com/mattn/go-sqlite3"
)

const (
	readers = 4

	userSQL   = `SELECT disabled_at FROM users WHERE id = ?`
	memberSQL = `SELECT role FROM thread_members WHERE thread_id = ? AND user_id = ?`
	insertSQL = `INSERT INTO calls (id, thread_id, slot, kind, room, started_by, started_at)
		VALUES (?, ?, '', ?, ?, ?, ?) ON CONFLICT (thread_id, slot) DO NOTHING`
	eventSQL = `INSERT INTO call_events (thread_id, call_id, type, user_id, at)
		VALUES (?, ?, 'started', ?, ?)`
	openSQL = `SELECT id, kind, started_by, started_at FROM calls
		WHERE thread_id = ? AND slot = ''`
)

// Calls in SQLite: readers of their own, and one connection that writes, for which requests queue
// in Go instead of at SQLite's lock. WAL, synchronous=FULL, statements prepared once.
type calls struct {
	writer                      *sql.DB
	user                        *sql.Stmt
	member, insert, event, open *sql.Stmt
}

type call struct {
	ID              string  `json:"id"`
	ThreadID        string  `json:"threadId"`
	Kind            string  `json:"kind"`
	StartedBy       string  `json:"startedBy"`
	StartedAt       string  `json:"startedAt"`
	EndedAt         *string `json:"endedAt"`
	DurationSeconds *int64  `json:"durationSeconds"`
	EndReason       *string `json:"endReason"`
}

func openDatabase(path, mode string, connections int) (*sql.DB, error) {
	const options = "?_busy_timeout=20000&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=on"
	db, err := sql.Open("sqlite3", "file:"+path+options+mode)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

func openCalls(path string) (*calls, error) {
	writer, err := openDatabase(path, "&_txlock=immediate&mode=rw", 1)
	if err != nil {
		return nil, err
	}
	reader, err := openDatabase(path, "&_query_only=on&mode=rw", readers)
	if err != nil {
		return nil, err
	}
	c := &calls{writer: writer}
	for _, prepared := range []struct {
		db        *sql.DB
		statement **sql.Stmt
		text      string
	}{{reader, &c.user, userSQL}, {writer, &c.member, memberSQL}, {writer, &c.insert, insertSQL},
		{writer, &c.event, eventSQL}, {writer, &c.open, openSQL}} {
		if *prepared.statement, err = prepared.db.Prepare(prepared.text); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// knows is nil for a user who may do something.
func (c *calls) knows(user string) error {
	var disabled sql.NullInt64
	err := c.user.QueryRow(user).Scan(&disabled)
	if err == sql.ErrNoRows || (err == nil && disabled.Valid) {
		return refusal{http.StatusForbidden, "forbidden"}
	}
	return err
}

// The time first, so that the trees grow at their ends.
func makeID(prefix string, at time.Time, bytes int) string {
	return fmt.Sprintf("%s%012x%s", prefix, at.UnixMilli(), randomHex(bytes))
}

// start opens the call of a thread, or gives the one already open.
func (c *calls) start(thread, kind, user string) (*call, bool, error) {
	tx, err := c.writer.Begin()
	if err != nil {
		return nil, false, err
	}
	defer tx.Rollback() // does nothing after a commit
	var role string
	err = tx.Stmt(c.member).QueryRow(thread, user).Scan(&role)
	if err == sql.ErrNoRows {
		return nil, false, refusal{http.StatusNotFound, "not_found"}
	}
	if err != nil {
		return nil, false, err
	}
	found, created, err := c.insertOrFind(tx, thread, kind, user)
	if err != nil {
		return nil, false, err
	}
	return found, created, tx.Commit()
}

func (c *calls) insertOrFind(tx *sql.Tx, thread, kind, user string) (*call, bool, error) {
	now := time.Now()
	made := &call{ID: makeID("call_", now, 10), ThreadID: thread, Kind: kind, StartedBy: user}
	startedAt := now.UnixMilli()
	done, err := tx.Stmt(c.insert).Exec(made.ID, thread, kind, makeID("", now, 16), user, startedAt)
	if err != nil {
		return nil, false, err
	}
	inserted, err := done.RowsAffected()
	if err != nil {
		return nil, false, err
	}
	if inserted > 0 {
		_, err = tx.Stmt(c.event).Exec(thread, made.ID, user, startedAt)
	} else {
		err = tx.Stmt(c.open).QueryRow(thread).Scan(&made.ID, &made.Kind, &made.StartedBy, &startedAt)
	}
	made.StartedAt = rfc3339(time.UnixMilli(startedAt))
	return made, inserted > 0, err
}
