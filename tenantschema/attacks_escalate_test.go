package tenantschema_test

const (
	whyOwnLogin = "Every PostgreSQL role may change its own password and its own defaults. Who can run several statements, or DO, can step back into the login role " +
		"and do so: the cell's processes cannot connect any more, or connect with harmful defaults, until `rowhouse migrate up --reset-logins`, and `ALTER ROLE … RESET ALL` for " +
		"the defaults. Who reaches the server's port besides can log in with that password, as the cell: the seal holds there too, pooled tenants are his. Let `pg_hba.conf` admit " +
		"the logins from the platform's addresses alone, or by certificates. The login of a dedicated tenant is its own: it harms nobody else."
)

// escalateAttacks are after a role with more rights.
func escalateAttacks() []attack {
	role := func(id, tries, role string) attack {
		return attack{
			id: id, class: "roles", strength: fragment, tries: tries,
			sql:   []string{"x' union all select 'now ' || set_config('role', '" + role + "', true), '' --"},
			shows: "now " + role, without: []string{"grant " + role + " to {login}"}, plain: "sss",
		}
	}
	do := func(id string, s strength, tries string, without []string, sql ...string) attack {
		return attack{id: id, class: "roles", strength: s, tries: tries, sql: sql, without: without, done: true, plain: "sss"}
	}
	return []attack{
		role("become-owner", "become the owner of all schemas", "{owner}").dropping("alter role {login} superuser"),
		role("become-control", "become the role that reads the catalog and works the queue", "{control}"),
		role("become-far", "become a tenant of another cell", "{far}"),
		role("become-dedicated", "become a dedicated tenant", "{dedicated}").dropping("grant {dedicated} to {login}"),
		do("session-owner", several, "SET SESSION AUTHORIZATION to the owner", nil, "set local session authorization {owner}"),
		// A superuser's session may.
		do("alter-self-super", whole, "make oneself a superuser", super, "alter role {a} superuser"),
		do("alter-login-role", several, "give the login role CREATEROLE", []string{"alter role {login} superuser"}, "set local role none",
			"alter role {login} createrole"),
		do("create-role", whole, "make a role", super, "create role evil in role {v}"),
		do("grant-self", whole, "grant oneself the victim", super, "grant {v} to {a}"),
		do("grant-control", several, "make the login a member of the role that works the queue", []string{"alter role {login} superuser"},
			"set local role none", "grant {control} to {login}"),
		do("alter-login-password", several, "change the login's password", nil, "set local role none", "alter role {login} password 'evil'").
			open("ooo", "ooo", whyOwnLogin),
		do("alter-login-defaults", several, "change the login's defaults", nil, "set local role none",
			"alter role {login} set default_transaction_read_only = on").
			open("ooo", "ooo", whyOwnLogin),
		do("grant-login", several, "let a tenant of another cell become the own login, and so its tenants", []string{"alter role {login} superuser"},
			"set local role none", "grant {login} to {far}"),
	}
}

// fileAttacks reach for the server's files, settings and secrets.
func fileAttacks() []attack {
	file := func(id, tries, sql string, without ...string) attack {
		return attack{id: id, class: "server", strength: whole, tries: tries, sql: []string{sql}, without: without, done: true, plain: "sss"}
	}
	return []attack{
		file("file-read", "read a file", "select pg_read_file('PG_VERSION')", super...),
		file("file-list", "list a directory", "select pg_ls_dir('.')", super...),
		file("file-import", "read a file into a large object", "select lo_import('PG_VERSION')", super...),
		file("file-copy", "COPY a file into one's own table", "copy projects (name) from '/dev/null'", super...),
		file("file-program", "run a program by COPY", "copy (select) to program 'cat >/dev/null'", super...),
		file("file-setting", "read where the server keeps its data", "select current_setting('data_directory')", super...),
		file("file-passwords", "read the roles' password verifiers", "select rolpassword from pg_authid", super...),
		file("file-statistics", "read values of others' tables in pg_statistic", "select stavalues1::text from pg_statistic", super...),
		file("file-reload", "make the server read its configuration again", "select pg_reload_conf()", super...),
		file("file-log", "make the server log something of a backend", "select pg_log_backend_memory_contexts(pg_backend_pid())", super...),
		file("file-slot", "make a replication slot, which keeps the server's log for ever",
			"select pg_create_physical_replication_slot('evil_' || pg_backend_pid(), false, true)", super...),
	}
}
