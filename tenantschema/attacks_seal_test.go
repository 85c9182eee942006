package tenantschema_test

import (
	"encoding/hex"
	"slices"
)

const (
	becomeVictim = "set local role {v}"
	readVictim   = "select name from {v}.projects"
	// forgery makes a seal of the victim's schema for this backend, with the secret at hand.
	forgery = `select set_config('rowhouse.seal', '{key}.' || e || '.' || encode(sha256(o ||
			sha256(i || convert_to('{v}|' || pg_backend_pid() || '|' || e, 'UTF8'))), 'hex'), true)
		from (select extract(epoch from now() + '1 minute')::bigint::text as e) t, (
			select string_agg(set_byte('\x00', 0, get_byte(k, n) # 54), '' order by n) as i,
				string_agg(set_byte('\x00', 0, get_byte(k, n) # 92), '' order by n) as o
			from (select decode(rpad('{secret}', 128, '0'), 'hex') as k) s, generate_series(0, 63) n) pads`
)

// sealAttacks are those on the seal itself: all become the victim first, so that a pooled tenant, who has none, falls to them.
func sealAttacks() []attack {
	forge := func(id, tries string, sql ...string) attack {
		return attack{
			id: id, class: "seal", strength: several, tries: tries, sql: append(slices.Clone(sql), becomeVictim, readVictim), plain: "oss", hard: "oss", why: whyRoleRead,
			without: []string{"grant {v} to {login}"},
		}
	}
	// Without the secret, the pid or the time, the same SQL has a right seal.
	rightSeal := func(f *field, pid uint32) []string {
		seal := f.seal(f.key, f.victim.Schema, pid, soonSealed())
		return []string{"{stolen}", seal, "{expired}", seal, "{garbage}", seal}
	}
	owned := func(id, tries string, sql ...string) attack {
		return attack{id: id, class: "seal", strength: several, tries: tries, sql: sql, without: super, plain: "sss"}
	}
	withSeal := func(a attack) attack { a.instead = rightSeal; return a }
	forged := forge("seal-forge", "compute a seal with a guessed key", forgery)
	forged.instead = func(f *field, _ uint32) []string { return []string{"{secret}", hex.EncodeToString(f.key.Secret)} }
	forged.hard = "sss" // It takes set_config, where SET LOCAL would do: the next ones use that.
	return []attack{
		forge("seal-replay", "bear the seal that the own scope was given", "select current_setting('rowhouse.seal')").dropping(opened...),
		withSeal(forge("seal-none", "bear none", "set local rowhouse.seal = '{garbage}'")),
		withSeal(forge("seal-garbage", "bear one with an empty key's name and no MAC", "set local rowhouse.seal = '{garbage}'")),
		forged,
		withSeal(forge("seal-stolen", "bear a seal of the victim's that was seen on another backend", "set local rowhouse.seal = '{stolen}'")),
		withSeal(forge("seal-expired", "bear the victim's own seal of this backend, a second too late", "set local rowhouse.seal = '{expired}'")),
		{
			id: "seal-keys", class: "seal", strength: whole, tries: "read the keys", sql: []string{"select id from seal.keys"}, done: true,
			plain:   "sss",
			without: []string{"grant usage on schema seal to {a}", "grant select on seal.keys to {a}"},
		},
		{
			id: "seal-oracle", class: "seal", strength: whole, tries: "call the seal's function to try guesses",
			sql:   []string{"select seal.sealed('{v}')"},
			shows: "does not bear the seal", without: []string{"grant usage on schema seal to {a}"}, plain: "sss",
		},
		owned("seal-new-function", "replace the seal's function",
			"create or replace function seal.sealed(schema text) returns boolean language sql as 'select true'").doing(),
		owned("seal-drop-policy", "drop the policy as the victim", "set local role {v}", "drop policy seal on {v}.projects").doing().
			dropping("grant {v} to {login}", "alter role {v} superuser", "drop policy if exists seal on {v}.projects",
				"create policy seal on {v}.projects using (true)"),
		owned("seal-add-policy", "add a policy that lets everybody in, as the victim", "set local role {v}",
			"create policy mine on {v}.projects using (true)").doing().victimSuper(),
		owned("seal-disable", "switch row level security off for the victim's table, as the victim", "set local role {v}",
			"alter table {v}.projects disable row level security").doing().victimSuper(),
		owned("seal-own-disable", "switch row level security off for one's own table", "alter table {a}.projects disable row level security").doing(),
		owned("seal-bypass", "give oneself BYPASSRLS", "alter role {a} bypassrls").doing(),
	}
}

func (a attack) victimSuper() attack {
	return a.dropping("grant {v} to {login}", "alter role {v} superuser")
}

const (
	whyLock = "PostgreSQL asks for a table's rights, and not for its policies, before it locks: who can become the victim (several statements, or DO; pooled or sealed) can " +
		"lock its tables until his transaction ends. The victim's statements fail after `lock_timeout` (2 s); the attacker's end with his request's deadline. A dedicated " +
		"login stops it."
	whySequence = "Sequences have no policies. Who can become the victim draws numbers from its sequences and sees how far they are. The tenants of this product have " +
		"none: use UUIDs, or a dedicated login."
	whyLargeObject = "Large objects have no policies, and belong to no schema. Scopes refuse them, so there are none unless SQL makes them: use bytea or files. " +
		"Hardening takes the functions away."
)

// estimateAttacks ask what the seal cannot answer for: what PostgreSQL tells of a table without reading its rows.
func estimateAttacks() []attack {
	side := func(id, tries, shows, why string, sql ...string) attack {
		return attack{id: id, class: "around the seal", strength: several, tries: tries, sql: sql, shows: shows, without: opened, plain: "oss", hard: "oss", why: why}
	}
	return []attack{
		side("around-error", "let a failed cast print a value before the policy is asked", "", whyRoleRead,
			becomeVictim, "select name::int from {v}.projects where name !~ '^(p|o)'"),
		side("around-division", "let a division by zero tell whether a row is there", "division by zero", whyRoleRead,
			becomeVictim, "select 1 / (char_length(name) - 11) from {v}.projects"),
		side("around-view", "let a failed cast print a value of a view", "", whyRoleRead,
			becomeVictim, "select name::int from {v}.project_names where name !~ '^(p|o)'").dropping(
			"create or replace view {v}.project_names as select id, name from {v}.projects", "grant {v} to {login}"),
		side("around-unique", "insert a guessed value and look for the error of the unique index", "users_email_key", whyRoleRead,
			becomeVictim, "insert into {v}.users (id, email, display_name) values (gen_random_uuid(), 'boss@example.com', 'x')").dropping(
			"drop policy if exists seal on {v}.users", "grant {v} to {login}"),
		side("around-conflict", "the same with ON CONFLICT DO NOTHING, without an error", "INSERT 0 0", whyRoleRead,
			becomeVictim, "insert into {v}.users (id, email, display_name) values (gen_random_uuid(), 'boss@example.com', 'x') on conflict do nothing").dropping(
			"drop policy if exists seal on {v}.users", "grant {v} to {login}"),
		side("around-explain", "have the planner estimate how many rows have a guessed value", "rows=61 width or rows=31 width", whyRoleRead,
			becomeVictim, "explain select 1 from {v}.projects where name = 'ordinary'"),
		side("around-statistics", "read the commonest values in pg_stats", "ordinary", whyRoleRead,
			becomeVictim, "select most_common_vals::text from pg_stats where schemaname = '{v}' and tablename = 'projects' and attname = 'name'").dropping(unsecured...),
		side("around-sequence", "draw a number from the victim's sequence", "4242", whySequence,
			becomeVictim, "select nextval('{v}.ticket_numbers')").open("oos", "oos", whySequence),
		side("around-large-object", "read the victim's large object", "", whyLargeObject,
			becomeVictim, "select convert_from(lo_get({lo}), 'UTF8')").open("oos", "sss", whyLargeObject),
		side("around-lock", "lock the victim's table", "", whyLock, becomeVictim, "lock table {v}.projects in access exclusive mode").
			doing().open("oos", "oos", whyLock),
	}
}
