package workspace

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/rowhousehq/rowhouse/pkg/apperr"
	"github.com/rowhousehq/rowhouse/tenantschema"
)

// MaxBulk is how many changes one call may make.
const MaxBulk = 100

// TaskChange is one of many: to create a task, or to patch or delete the one with that ID. Exactly one of them.
type TaskChange struct {
	Create *NewTask
	ID     uuid.UUID
	Patch  *TaskPatch
	Delete bool
}

// ChangeTasks makes all the changes in their order, or none of them, and gives the tasks as they are then; nil for one that was deleted. The error
// names the change that failed: apperr.Invalid and NotFound bear its number in the paths of their fields, for example "items[3].title".
func (s *Service) ChangeTasks(ctx context.Context, scope tenantschema.Scope, changes []TaskChange) ([]*Task, error) {
	if len(changes) == 0 || len(changes) > MaxBulk {
		return nil, apperr.New(apperr.Invalid, "The tasks cannot be changed as asked.").
			WithField("items", fmt.Sprintf("Give 1 to %d changes.", MaxBulk))
	}
	done := make([]*Task, len(changes))
	err := scope.InTx(ctx, func(tx *tenantschema.Tx) error {
		for i, change := range changes {
			task, err := s.applyChange(ctx, tx, change)
			if err != nil {
				return inItem(i, change, err)
			}
			done[i] = task
		}
		return nil
	})
	if err != nil {
		return nil, failed("change tasks", err)
	}
	return done, nil
}

func (s *Service) applyChange(ctx context.Context, tx *tenantschema.Tx, c TaskChange) (*Task, error) {
	named, kinds := c.ID != uuid.Nil, 0
	for _, there := range []bool{c.Create != nil, c.Patch != nil, c.Delete} {
		if there {
			kinds++
		}
	}
	if kinds != 1 || named == (c.Create != nil) {
		return nil, apperr.New(apperr.Invalid, "It is not clear what to do.").
			WithField("", "Give create, or id and patch, or id and delete: true.")
	}
	var task Task
	var err error
	switch {
	case c.Create != nil:
		if task, err = s.newTask(*c.Create); err == nil {
			task, err = s.addTask(ctx, tx, task)
		}
	case c.Patch != nil:
		task, err = s.changeTask(ctx, tx, c.ID, *c.Patch)
	default:
		return nil, s.dropTask(ctx, tx, c.ID, nil)
	}
	return &task, err
}

// inItem says in which of many changes an error happened.
func inItem(i int, c TaskChange, err error) error {
	err = failedOn("change tasks", "task", c.ID, err)
	e, ok := errors.AsType[*apperr.Error](err)
	if !ok {
		return err
	}
	item, of := fmt.Sprintf("items[%d]", i), ""
	switch {
	case c.Create != nil:
		of = ".create"
	case c.Patch != nil:
		of = ".patch"
	}
	named := &apperr.Error{Code: e.Code, Message: fmt.Sprintf("Nothing was changed, because of %s: %s", item, e.Message), Err: e}
	for _, field := range e.Fields {
		path := item
		if field.Path != "" {
			path += of + "." + field.Path
		}
		named.Fields = append(named.Fields, apperr.Field{Path: path, Message: field.Message})
	}
	if len(named.Fields) == 0 {
		named.Fields = []apperr.Field{{Path: item + ".id", Message: e.Message}}
	}
	return named
}
