package tenantschema_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rowhousehq/rowhouse/tenantschema"
)

// strength is how much of the SQL an attacker writes.
type strength string

const (
	// fragment is what gets into a literal of the tenant's own SELECT: see hostStatement.
	fragment strength = "F"
	// whole is one statement of the attacker's own, in a scope.
	whole strength = "W"
	// several is any statements, in one transaction, by the scope and also past it: on a session that has entered the tenant as a scope does
	// and that no guard of ours reads.
	several strength = "S"
)

// hostStatement is the carelessly written statement of a tenant into which a fragment goes.
const hostStatement = "select id::text, name from projects where name = '%'"

// attack is one way to reach beyond one's own tenant.
type attack struct {
	id, class string
	strength  strength
	// tries says in one sentence what the attacker wants and how.
	tries string
	// sql is what the attacker sends. Names in braces are those of the field: see field.fill. {a} is the attacker, {v} the victim.
	sql []string

	// shows is what a row or an error must contain for the attack to have succeeded; "{marker}" unless it is set; " or " parts alternatives.
	shows string
	// done makes it a success that no statement fails.
	done bool
	// during is asked as the superuser while the attacker's transaction is open: true is a success.
	during string
	// before is what the victim has done on the same connections, victim what it does in a transaction that is open meanwhile.
	before, victim []string
	// custom tells whether the attack succeeds; it is for what needs more than a transaction. Without a defence where defended is false.
	custom func(t *testing.T, f *field, defended bool) bool

	// without are the superuser's statements that take the defence away, in the control's own transaction; instead replaces names of sql,
	// where the defence is a secret. The control sends the same SQL as the same role and must succeed.
	without []string
	instead func(f *field, pid uint32) []string

	// plain says per tier, in the order pooled, sealed, dedicated, whether the attack is stopped ("s") or not ("o"), hard the same after
	// [tenantschema.HardenSQL]; "" is plain. It is so on every version of PostgreSQL.
	plain, hard string
	// why says what an attack that is not stopped brings, and what to do about it.
	why string
}

// attacks is the whole table.
func attacks() []attack {
	return slices.Concat(readAttacks(), roleReadAttacks(), sealAttacks(), estimateAttacks(), writeAttacks(), ddlAttacks(),
		escalateAttacks(), fileAttacks(), sessionAttacks(), metadataAttacks(), denialAttacks(), jobAttacks())
}

func tiers() []tenantschema.Tier {
	return []tenantschema.Tier{tenantschema.TierPooled, tenantschema.TierSealed, tenantschema.TierDedicated}
}

// expected gives what the table says of a tier: 's' or 'o'.
func (a attack) expected(tier tenantschema.Tier, hard bool) byte {
	says := a.plain
	if hard {
		says = hardOf(a)
	}
	return says[slices.Index(tiers(), tier)]
}

// TestAttackMatrix tries every attack on every tier, before and after hardening, and holds what happens against the table, which
// docs/isolation.md prints. Every attack that is stopped has its control: the same SQL, without the defence, succeeds.
func TestAttackMatrix(t *testing.T) {
	t.Parallel()
	for _, hard := range []bool{false, true} {
		b := newBattlefield(t, hard)
		for _, tier := range tiers() {
			name := string(tier)
			if hard {
				name += " hardened"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := b.field(t, tier)
				for _, a := range attacks() { // One after another: they share the tier's pair of tenants.
					t.Run(a.id, func(t *testing.T) { f.try(t, a) })
				}
			})
		}
	}
}

// try runs an attack, and its control if it is stopped.
func (f *field) try(t *testing.T, a attack) {
	t.Helper()
	f.t = t
	want, got := a.expected(f.tier, f.hard), byte('s')
	succeeded, seen := f.attack(&a)
	if succeeded {
		got = 'o'
	}
	require.Equal(t, string(want), string(got), "s is stopped, o is open. It gave: %s", seen)
	if succeeded || f.hard { // What hardening stops has succeeded without it.
		return
	}
	succeeded, seen = f.control(&a)
	require.True(t, succeeded, "the control fails, so that the attack proves nothing: %s", seen)
}

// The table is complete, and says of each attack what a reader needs.
func TestAttackMatrix_Table(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, a := range attacks() {
		require.False(t, seen[a.id], "%s is there twice", a.id)
		seen[a.id] = true
		for _, says := range []string{a.plain, a.hard} {
			require.Regexp(t, "^([so]{3})?$", says, a.id)
		}
		require.Len(t, a.plain, 3, a.id)
		require.NotEmpty(t, a.tries, a.id)
		require.Contains(t, classes(), a.class, a.id)
		require.Equal(t, strings.Contains(a.plain+a.hard, "o"), a.why != "", "%s: an attack that is not stopped says why, and only that", a.id)
		require.True(t, a.custom != nil || len(a.sql) > 0, a.id)
	}
	require.GreaterOrEqual(t, len(seen), 50)
}
