package tenantschema

import (
	"fmt"
	"strings"
)

// maxNameLen is PostgreSQL's limit for an identifier in bytes (NAMEDATALEN - 1). A longer one would be cut silently, and two tenants
// could meet in one schema.
const maxNameLen = 63

// reservedNames are schemas that stand in every database or in every Rowhouse, and words with a meaning in place of a role name.
var reservedNames = map[string]bool{ //nolint:gochecknoglobals // A constant table; Go has no constant maps.
	"public": true, "information_schema": true, "none": true, "current_user": true, "session_user": true, "current_role": true,
	"user": true, "postgres": true, "rowhouse": true, "river": true, "seal": true,
}

// Name is the identifier of a tenant's schema and of its role, which bear the same name.
//
// ParseName is the only way to make one, so a Name is safe to place in SQL by [Name.Quote]. The zero Name names nothing, and every
// function of this package refuses it.
type Name struct{ s string }

// NameError says why a string is no Name.
type NameError struct {
	// Input is what was given, cut to 80 bytes.
	Input string
	// Reason says what a right one looks like.
	Reason string
}

// Error names the input and what would be right.
func (e *NameError) Error() string {
	return fmt.Sprintf("tenant schema name %q: %s", e.Input, e.Reason)
}

// ParseName makes a Name of s: 1 to 63 bytes of a-z, 0-9 and _, beginning with a letter, neither reserved nor beginning with "pg_".
// The error is a *[NameError].
func ParseName(s string) (Name, error) {
	refuse := func(reason string) (Name, error) {
		return Name{}, &NameError{Input: s[:min(len(s), 80)], Reason: reason}
	}
	switch {
	case s == "":
		return refuse("is empty")
	case len(s) > maxNameLen:
		return refuse(fmt.Sprintf("is longer than %d bytes", maxNameLen))
	case s[0] < 'a' || s[0] > 'z':
		return refuse("must begin with a letter a-z")
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return refuse("may hold only a-z, 0-9 and _")
		}
	}
	if strings.HasPrefix(s, "pg_") {
		return refuse(`must not begin with "pg_", which PostgreSQL keeps for itself`)
	}
	if reservedNames[s] {
		return refuse("is reserved")
	}
	return Name{s}, nil
}

// String gives the bare name, for logs and as a query argument. In the text of a statement use [Name.Quote].
func (n Name) String() string { return n.s }

// Quote gives the name as a quoted SQL identifier.
func (n Name) Quote() string { return `"` + n.s + `"` }

// IsZero reports whether n names nothing.
func (n Name) IsZero() bool { return n.s == "" }
