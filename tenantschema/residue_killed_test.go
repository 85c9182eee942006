package tenantschema_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// sqlKill ends the other backends of this database that serve a cell, and waits until they have ended.
const sqlKill = `select count(*) from (select pg_terminate_backend(pid, 5000) from pg_stat_activity
	where datname = current_database() and usename like '%\_cell\_%') s`

func (s *street) kill() error {
	var killed int
	if err := s.admin.QueryRow(s.t.Context(), sqlKill).Scan(&killed); err != nil {
		return err
	}
	if killed == 0 {
		return errors.New("there was no backend to kill")
	}
	return nil
}

// killedIdle leaves a dead connection, or a pooler that does not know yet. The next call may fail by it, once.
func (s *street) killedIdle(_ *rapid.T, o *occupant) error {
	if _, err := o.scope.Exec(s.t.Context(), "select 1"); err != nil { // So that there is a backend.
		return err
	}
	if err := s.kill(); err != nil {
		return err
	}
	name := uuid.NewString()
	if _, err := o.scope.Exec(s.t.Context(), insertProject, uuid.New(), name); err == nil {
		o.sure[name] = true
		return nil
	}
	return s.write(nil, o)
}

func (s *street) killedInTx(t *rapid.T, o *occupant) error {
	ctx := s.t.Context()
	swallowed := rapid.Bool().Draw(t, "swallowed")
	err := o.scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		if _, err := insert(ctx, tx); err != nil {
			return err
		}
		if err := s.kill(); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "select 1")
		if swallowed {
			return nil
		}
		return err
	})
	if err == nil {
		return errors.New("a transaction of a killed backend was committed")
	}
	return nil
}

func (s *street) killedAtWork(_ *rapid.T, o *occupant) error {
	ctx := s.t.Context()
	ended := make(chan error, 1)
	go func() {
		_, err := o.scope.Exec(ctx, "insert into projects (id, name) select gen_random_uuid(), 'killed' from (select pg_sleep(60)) s")
		ended <- err
	}()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		var working bool
		err := s.admin.QueryRow(ctx, `select exists (select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'
			and query like '%''killed''%')`).Scan(&working)
		if err != nil {
			return err
		}
		if working {
			break
		}
		if time.Now().After(deadline) {
			return errors.New("the statement does not begin")
		}
	}
	if err := s.kill(); err != nil {
		return err
	}
	if err := <-ended; err == nil {
		return fmt.Errorf("a statement of a killed backend gives %w", err)
	}
	return nil
}
