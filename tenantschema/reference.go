package tenantschema

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrUnknownVersion is returned for a schema version of which the program has no migration.
var ErrUnknownVersion = errors.New("tenantschema: the program has no migration of this version")

// ReferencePrefix begins the names of the schemas and roles that [Session.Reference] makes where it must make them outside of a transaction.
// What a crash leaves of one bears a name that [Inspect] takes for an orphaned tenant's: ids of tenants hold no zero. It may be dropped.
const ReferencePrefix = "t_0ref"

// references are the fingerprints that have been made, so that comparing thousands of tenants makes each once.
type references struct {
	turn chan struct{} // held by who looks or makes
	made map[referenceKey]Fingerprint
}

type referenceKey struct {
	version int64
	sealed  bool
}

func newReferences() references {
	return references{turn: make(chan struct{}, 1), made: map[referenceKey]Fingerprint{}}
}

// Knows reports whether there is a migration of that version.
func (p *Provisioner) Knows(version int64) bool {
	return slices.ContainsFunc(p.migrations, func(m Migration) bool { return m.Version == version })
}

// Reference gives what a tenant's schema of the given version is to look like: that of a tenant that has just been created, by this program.
// Each is made once for all sessions of a [Provisioner]. [ErrUnknownVersion] if there is no migration of that version.
//
// It is made in a transaction that is rolled back, so that nobody sees it and nothing stays. Where there is a NO TRANSACTION file among the
// migrations, schema and role are made for good and dropped again, also after a failure; see [ReferencePrefix].
func (s *Session) Reference(ctx context.Context, version int64, sealed bool) (Fingerprint, error) {
	if !s.p.Knows(version) {
		return Fingerprint{}, fmt.Errorf("%w: %d", ErrUnknownVersion, version)
	}
	r, key := &s.p.references, referenceKey{version, sealed}
	select {
	case <-ctx.Done():
		return Fingerprint{}, ctx.Err()
	case r.turn <- struct{}{}:
	}
	defer func() { <-r.turn }()
	if f, ok := r.made[key]; ok {
		return f, nil
	}
	f, err := s.makeReference(ctx, version, sealed)
	if err != nil {
		return Fingerprint{}, fmt.Errorf("make the reference of version %d: %w", version, err)
	}
	r.made[key] = f
	return f, nil
}

// errUndo ends a transaction that is not to be committed.
var errUndo = errors.New("tenantschema: to be rolled back")

func (s *Session) makeReference(ctx context.Context, version int64, sealed bool) (f Fingerprint, err error) {
	name, err := ParseName(ReferencePrefix + strings.ToLower(rand.Text()[:12])) // As long as a tenant's.
	if err != nil {
		return Fingerprint{}, err
	}
	spec := Spec{Name: name, Sealed: sealed, Version: version}
	undone := !slices.ContainsFunc(s.p.migrations, func(m Migration) bool { return !m.Tx && m.Version <= version })
	if !undone {
		defer func() {
			if dropErr := s.dropReference(ctx, name); dropErr != nil {
				err = errors.Join(err, dropErr)
			}
		}()
	}
	err = s.advance(ctx, spec,
		func(ctx context.Context, tx pgx.Tx) error { return s.prepare(ctx, tx, spec) },
		func(ctx context.Context, _ pgx.Tx, _ int64, done bool) (err error) {
			if !done {
				return nil
			}
			if f, err = s.Fingerprint(ctx, name); err == nil && undone {
				err = errUndo
			}
			return err
		})
	if errors.Is(err, errUndo) {
		err = nil
	}
	return f, err
}

// dropReference drops what was made for good, although ctx may have ended and the connection with it.
func (s *Session) dropReference(ctx context.Context, name Name) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	nothing := func(context.Context, pgx.Tx) error { return nil }
	if !s.conn.IsClosed() {
		return s.Drop(ctx, name, nothing)
	}
	other, err := s.p.Connect(ctx)
	if err != nil {
		return fmt.Errorf("drop schema and role %s: %w", name, err)
	}
	return errors.Join(other.Drop(ctx, name, nothing), other.Close())
}

// Drift compares the schema of name with the [Session.Reference] of its version and tier. No differences mean that it holds what it
// should. [ErrNoSchema] if there is no such schema.
//
// It takes no lock: who migrates the tenant meanwhile makes differences. Compare again if the tenant's version has changed since.
func (s *Session) Drift(ctx context.Context, name Name, version int64, sealed bool) ([]Difference, error) {
	want, err := s.Reference(ctx, version, sealed)
	if err != nil {
		return nil, err
	}
	have, err := s.Fingerprint(ctx, name)
	if err != nil {
		return nil, err
	}
	differences := have.Diff(want)
	isView := func(d Difference) bool { return strings.HasPrefix(d.Object, "view ") }
	if sealed || !slices.ContainsFunc(differences, isView) {
		return differences, nil
	}
	// A tenant that was sealed once keeps the gates of its views. See unsealTables.
	gated, err := s.Reference(ctx, version, true)
	if err != nil {
		return nil, err
	}
	still := gated.byObject()
	return slices.DeleteFunc(differences, func(d Difference) bool {
		return isView(d) && d.Have != "" && d.Have == still[d.Object]
	}), nil
}
