package workspace

import "github.com/google/uuid"

// Actor is who does something: a person, or a program by its key. The zero Actor is the program itself, and the operator.
type Actor struct {
	UserID, KeyID uuid.UUID
	// Name is the person's, or the key's.
	Name string
	// Moderates says that the actor may take away what others have written.
	Moderates bool
}

// As gives the service to somebody: what is done through it bears their name in the feed, and is theirs.
func (s *Service) As(a Actor) *Service {
	own := *s
	own.actor = a
	return &own
}

// id is what the feed knows the actor by; the zero UUID for nobody.
func (a Actor) id() uuid.UUID {
	if a.UserID != uuid.Nil {
		return a.UserID
	}
	return a.KeyID
}

// user and key are nil unless the actor is one.
func (a Actor) user() *uuid.UUID { return orNil(a.UserID) }
func (a Actor) key() *uuid.UUID  { return orNil(a.KeyID) }

func orNil(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}
