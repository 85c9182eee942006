package main

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// The variants, in the order in which they are reported. The first is what the others are compared with. The last two are named as the
// tiers of their tenants.
const (
	ceiling = "ceiling"
	naive   = "naive"
	pooled  = "pooled"
	sealed  = "sealed"
)

func variants() []string { return []string{ceiling, naive, pooled, sealed} }

// A set is a group of tenants made alike. Its number is part of the ids of its rows, so that no two tenants share one.
type set struct {
	name   string
	number byte
	tier   string
}

// setOf says whose rows a variant works on.
func setOf(variant string) set {
	switch variant {
	case ceiling:
		return set{"plain", 1, pooled}
	case sealed:
		return set{"sealed", 3, sealed}
	}
	return set{"pooled", 2, pooled}
}

const (
	// tasksEach is how many tasks each tenant begins with, all in one project.
	tasksEach = 40
	// plainProjects is how many tenants' worth of rows stand in the ceiling's one schema.
	plainProjects = 20
	// listLength is the length of a list.
	listLength = 20
)

// owner gives the tenant whose rows answer a request for tenant i. The ceiling has a fixed number of projects, whatever the fleet's size.
func (s set) owner(i int) int {
	if s == setOf(ceiling) {
		return i % plainProjects
	}
	return i
}

// slug names tenant i, and begins the title of each of its tasks.
func (s set) slug(i int) string { return fmt.Sprintf("%s-%05d", s.name, i) }

// title is that of a task of tenant i. All have the same length.
func (s set) title(i, row int) string {
	return fmt.Sprintf("%s task %02d of this benchmark", s.slug(i), row%100)
}

// project gives the id of the one project of tenant i.
func (s set) project(i int) uuid.UUID { return s.id(i, 0, -1) }

// task gives the id of one of the tasks that tenant i begins with.
func (s set) task(i, row int) uuid.UUID { return s.id(i, 1, row) }

// id makes a UUIDv7 of the past, so that tasks inserted later are newer, as the lists order them.
func (s set) id(i int, kind byte, row int) uuid.UUID {
	var id uuid.UUID
	at := time.Date(2025, time.January, 1, 0, 0, row, 0, time.UTC)
	binary.BigEndian.PutUint64(id[:8], uint64(at.UnixMilli())<<16)
	id[6], id[7] = 0x70|kind, s.number
	id[8] = 0x80
	binary.BigEndian.PutUint32(id[12:], uint32(i)) //nolint:gosec // A number of a tenant.
	return id
}
