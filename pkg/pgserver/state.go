package pgserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strconv"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
)

// AdminUser is the superuser of every cluster that [Start] makes.
const AdminUser = "rowhouse_admin"

// State is what server.json holds. It is a secret: it opens the whole server.
type State struct {
	// Port on 127.0.0.1.
	Port int `json:"port"`
	// Password of [AdminUser].
	Password string `json:"password"`
	// Version is the major version of PostgreSQL that the cluster belongs to. 0: there is no cluster yet.
	Version int `json:"version"`
	// PID is the process that started the server, not the server's own. 0: no server is ready.
	PID int `json:"pid,omitempty"`
}

// AdminURL is the URL of a database, with the superuser's credentials.
func (s State) AdminURL(db string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(AdminUser, s.Password),
		Host:     net.JoinHostPort(loopback, strconv.Itoa(s.Port)),
		Path:     "/" + db,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// readState gives the zero State when there is none.
func (d dataDir) readState() (State, error) {
	var state State
	path := d.file(stateFile)
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return state, nil
	case errors.Is(err, fs.ErrPermission):
		return state, apperr.Wrap(err, apperr.Forbidden, "%s belongs to another user: run this as the user who runs `rowhouse up`", path)
	case err != nil:
		return state, apperr.Wrap(err, apperr.Invalid, "cannot read %s", path)
	}
	if err = json.Unmarshal(text, &state); err != nil {
		return State{}, apperr.Wrap(err, apperr.Invalid, "%s is damaged: restore it, or delete it to have its secrets made anew", path)
	}
	return state, nil
}

// writeState replaces the file in one step, so that a reader or a crash sees the old one or the new one.
func (d dataDir) writeState(state State) error {
	text, err := json.MarshalIndent(state, "", "  ") //nolint:gosec // The file is where the password is kept.
	if err != nil {
		return fmt.Errorf("writing %s: %w", stateFile, err)
	}
	f, err := os.CreateTemp(d.path, stateTemp) // Mode 0600.
	if err != nil {
		return fmt.Errorf("writing %s: %w", stateFile, err)
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), d.file(stateFile))
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", stateFile, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
