package tenantschema

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Placeholder stands for the tenant's own name in a [Fingerprint]: no identifier is printed like it.
const Placeholder = "<tenant>"

// Line describes one object of a schema, in words like those of its DDL.
type Line struct {
	// Object says which one, such as "column tasks.title". No two lines of a fingerprint have the same.
	Object string `json:"object"`
	// Is says how it is, such as "text not null". It may have several lines of text.
	Is string `json:"is"`
}

// String gives both.
func (l Line) String() string { return l.Object + " " + l.Is }

// Fingerprint describes all that a tenant's schema holds, but its rows: tables, columns, constraints, indexes, sequences, views, functions,
// triggers, policies, rules, types, statistics objects and whatever else stands in it, with owners, rights and default privileges. Comments,
// collected statistics and their settings, and where a sequence stands are no part of it.
//
// It does not depend on the schema's name, so that those of two tenants can be compared: role and string literals of that name are the
// [Placeholder]. A tenant whose name is also a value in its own schema's definitions (a default, say) is told apart from the others by that; names
// with an id in them never are.
type Fingerprint struct {
	// Lines are in a fixed order: by kind, by name, and columns as they stand in their table.
	Lines []Line `json:"lines"`
}

// Sum is the SHA-256 of the lines, in hexadecimal. Another major version of PostgreSQL may print them differently.
func (f Fingerprint) Sum() string {
	hash := sha256.New()
	for _, l := range f.Lines {
		_, _ = hash.Write([]byte(l.Object + "\x00" + l.Is + "\x00")) // It never fails.
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// Difference is one object that is not as it should be.
type Difference struct {
	Object string `json:"object"`
	// Want says how it should be; "" if it should not be there. Have says how it is; "" if it is not there.
	Want string `json:"want,omitempty"`
	Have string `json:"have,omitempty"`
}

// String gives a line with a minus for what should be there, and one with a plus for what is.
func (d Difference) String() string {
	var text []string
	for _, side := range []struct{ sign, is string }{{"-", d.Want}, {"+", d.Have}} {
		if side.is != "" {
			text = append(text, side.sign+" "+strings.ReplaceAll(Line{d.Object, side.is}.String(), "\n", "\n"+side.sign+"   "))
		}
	}
	return strings.Join(text, "\n")
}

// Diff gives the differences of f from what it should be: what is missing or has changed, then what is too much. None if the two are equal.
func (f Fingerprint) Diff(reference Fingerprint) (differences []Difference) {
	if slices.Equal(f.Lines, reference.Lines) {
		return nil
	}
	have, want := f.byObject(), reference.byObject()
	for _, l := range reference.Lines {
		if is := have[l.Object]; is != l.Is {
			differences = append(differences, Difference{Object: l.Object, Want: l.Is, Have: is})
		}
	}
	for _, l := range f.Lines {
		if want[l.Object] == "" {
			differences = append(differences, Difference{Object: l.Object, Have: l.Is})
		}
	}
	// What both have stands in one order, unless columns do not.
	mine, theirs := f.within(want), reference.within(have)
	for len(mine) > 0 && len(theirs) > 0 && mine[0] == theirs[0] {
		mine, theirs = mine[1:], theirs[1:]
	}
	for len(mine) > 0 && len(theirs) > 0 && mine[len(mine)-1] == theirs[len(theirs)-1] {
		mine, theirs = mine[:len(mine)-1], theirs[:len(theirs)-1]
	}
	if len(mine)+len(theirs) > 0 {
		differences = append(differences, Difference{Object: "order of", Want: strings.Join(theirs, ", "), Have: strings.Join(mine, ", ")})
	}
	return differences
}

func (f Fingerprint) byObject() map[string]string {
	is := make(map[string]string, len(f.Lines))
	for _, l := range f.Lines {
		is[l.Object] = l.Is
	}
	return is
}

// within gives the objects that other has, too.
func (f Fingerprint) within(other map[string]string) (objects []string) {
	for _, l := range f.Lines {
		if other[l.Object] != "" {
			objects = append(objects, l.Object)
		}
	}
	return objects
}

// Fingerprint reads what the schema of name holds, in one round trip, which takes as long in a database of thousands of tenants as in one of
// few. [ErrNoSchema] if there is none. Tables that a migration has locked are waited for as long as [ProvisionerConfig.LockTimeout].
func (s *Session) Fingerprint(ctx context.Context, name Name) (Fingerprint, error) {
	if name.IsZero() {
		return Fingerprint{}, ErrNoTenant
	}
	// The statement is kept by the session: to plan it takes longer than to run it.
	statement, err := s.conn.Prepare(ctx, "rowhouse_fingerprint", fingerprintSQL())
	if err != nil {
		return Fingerprint{}, fmt.Errorf("prepare to read schema %s: %w", name, err)
	}
	var lines []fingerprintLine
	batch := &pgx.Batch{}
	batch.Queue(fingerprintSettings, timeoutText(s.p.cfg.LockTimeout))
	batch.Queue(statement.Name, name.String()).Query(func(rows pgx.Rows) (err error) {
		lines, err = pgx.CollectRows(rows, pgx.RowToStructByPos[fingerprintLine])
		return err
	})
	if err = s.conn.SendBatch(ctx, batch).Close(); err != nil {
		return Fingerprint{}, fmt.Errorf("read schema %s: %w", name, err)
	}
	if len(lines) == 0 {
		return Fingerprint{}, fmt.Errorf("%w: %s", ErrNoSchema, name)
	}
	slices.SortFunc(lines, fingerprintLine.compare)
	f := Fingerprint{Lines: make([]Line, len(lines))}
	for i, l := range lines {
		f.Lines[i] = Line{l.Object, strings.ReplaceAll(l.Is, "'"+name.s+"'", "'"+Placeholder+"'")}
	}
	return f, nil
}

// fingerprintSettings last until the end of the transaction. Every table of the catalogs is to be entered by an index, whatever the planner
// believes of its size; and a plan is kept only as long as it is asked for under the path under which it was made.
const fingerprintSettings = `select pg_catalog.set_config('search_path', '', true), pg_catalog.set_config('lock_timeout', $1, true),
	pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true), pg_catalog.set_config('jit', 'off', true),
	pg_catalog.set_config('enable_seqscan', 'off', true), pg_catalog.set_config('enable_hashjoin', 'off', true),
	pg_catalog.set_config('enable_mergejoin', 'off', true)`

// fingerprintLine is a row of [fingerprintSQL].
type fingerprintLine struct {
	Kind   int32
	Parent string
	Place  int32
	Object string
	Is     string
}

// compare sorts by bytes: databases have different ideas of the order of texts.
func (l fingerprintLine) compare(other fingerprintLine) int {
	return cmp.Or(cmp.Compare(l.Kind, other.Kind), cmp.Compare(l.Parent, other.Parent), cmp.Compare(l.Place, other.Place),
		cmp.Compare(l.Object, other.Object))
}
