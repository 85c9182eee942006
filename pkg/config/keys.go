package config

import (
	netmail "net/mail"
	"strings"
	"time"
)

// envPrefix begins the name of every environment variable of ours.
const envPrefix = "ROWHOUSE_"

// key is one row of the table.
type key struct {
	// name is the key's path in the file, for example "server.read_timeout".
	name string
	// flag is the name of its flag without dashes, or "".
	flag string
	// def is the default, as one would write it in the file.
	def string
	// usage is one line: the flag's help, and the first line of the documentation.
	usage string
	// why is the rest of the documentation: when to change it, and why the default is what it is.
	why string

	setting
}

// env is the key's environment variable.
func (k key) env() string { return envName(k.name) }

func envName(name string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(name, ".", "_"))
}

// sections gives the sections of the file and what they are about.
func sections() map[string]string {
	return map[string]string{
		"server":       "The web servers: the public one, and the admin one for /healthz, /readyz and /metrics.",
		"database":     "PostgreSQL, and how much of it this process may use.",
		"jobs":         "Background jobs: `rowhouse work`, and `rowhouse up`.",
		"mail":         "Mails to the tenants' people: `rowhouse work`, and `rowhouse up`.",
		"files":        "Files that customers attach to tasks; see docs/files.md.",
		"webhooks":     "What customers' own systems are told of events, by HTTP; see docs/webhooks.md.",
		"limits":       "What strangers may take, in each process. What tenants may is up to their plans: `rowhouse plan list`; see docs/limits.md.",
		"identity":     "How tenants' people enter; see docs/identity.md.",
		"tenants":      "Rules that hold for every tenant.",
		"provisioning": "Tenants made ahead: `rowhouse provision`, and `rowhouse up`.",
		"signup":       "Who may make a tenant of their own on the base domain; see docs/sign-up.md.",
		"isolation":    "Proofs that tenants cannot reach each other.",
		"log":          "Log lines, on standard error.",
	}
}

// tableOf gives the one place where a key is written down. Its rows read and write c.
func tableOf(c *Config) []key {
	return []key{
		{
			name: "data_dir", flag: "data-dir", def: ".rowhouse",
			usage:   "directory of the embedded PostgreSQL: its data, its log, its passwords",
			why:     "A relative path starts at the current directory. Commands find the server of a running `rowhouse up` through it.",
			setting: text(&c.DataDir, "directory", nonEmpty),
		},

		{
			name: "server.addr", flag: "addr", def: "127.0.0.1:8080",
			usage:   "address of the public web server",
			why:     "The default can be reached from this machine only. Use :8080 to listen on all interfaces, behind something that speaks TLS.",
			setting: text(&c.Server.Addr, "host:port", hostPort),
		},
		{
			name: "server.admin_addr", flag: "admin-addr", def: "127.0.0.1:9090",
			usage:   "address of the admin server: /healthz, /readyz, /metrics, and /jobs/ if jobs.ui_password is set",
			why:     "But for /jobs/ it asks nobody who they are: never let it be reached from the internet.",
			setting: text(&c.Server.AdminAddr, "host:port", hostPort),
		},
		{
			name: "server.base_domain", flag: "base-domain", def: "localhost",
			usage:   "domain below which tenants have their subdomains",
			why:     "With example.com, tenant acme is at acme.example.com. Browsers resolve *.localhost to this machine without any DNS.",
			setting: value(&c.Server.BaseDomain, "domain", parseHostName, plain, hostName),
		},
		{
			name: "server.public_url", def: "",
			usage: "address of base_domain as customers reach it; empty: https://base_domain, or http and the port of addr for localhost",
			why: "Links in mails are made of it: with https://example.com:8443, those of tenant acme begin with https://acme.example.com:8443. Needed\n" +
				"where customers come by another port or without TLS. The same for every process.",
			setting: text(&c.Server.PublicURL, "address", publicURL),
		},
		{
			name: "server.trusted_proxies", def: "",
			usage: "networks whose X-Forwarded-* headers are believed",
			why: "From anybody else these headers choose nothing. List your load balancer's addresses, for example [10.0.0.0/8, 192.0.2.7];\n" +
				"in the environment separate them by commas.",
			setting: prefixes(&c.Server.TrustedProxies),
		},
		{
			name: "server.cors_origins", def: "",
			usage: "origins of pages elsewhere whose scripts may call the API with the session of who is signed in",
			why: "Exactly these, for example [https://app.example.com]; there is no wildcard. Only pages that you trust as your own: what they ask is\n" +
				"done as their visitor. Programs with API keys need no entry here.",
			setting: origins(&c.Server.CORSOrigins),
		},
		{
			name: "server.read_header_timeout", def: "5s",
			usage:   "how long a client may take to send its headers",
			why:     "Short, so that slow senders cannot hold connections.",
			setting: duration(&c.Server.ReadHeaderTimeout, positive),
		},
		{
			name: "server.read_timeout", def: "30s",
			usage:   "how long a client may take to send headers and body",
			why:     "Longer than request_timeout: a request whose reading timed out looks as if its client had gone.",
			setting: duration(&c.Server.ReadTimeout, positive),
		},
		{
			name: "server.write_timeout", def: "30s",
			usage:   "how long handling a request and sending its answer may take",
			why:     "Longer than request_timeout, so that there is time left to answer that it has passed.",
			setting: duration(&c.Server.WriteTimeout, positive),
		},
		{
			name: "server.idle_timeout", def: "1m",
			usage:   "how long a kept-alive connection may wait for its next request",
			why:     "Behind a load balancer make it longer than the balancer's own, or it may reuse a connection just as this server closes it.",
			setting: duration(&c.Server.IdleTimeout, positive),
		},
		{
			name: "server.request_timeout", def: "10s",
			usage:   "deadline of the work on one request, the database included",
			why:     "When it passes, statements are cancelled and the answer is 503: a slow tenant holds its connection no longer than this.",
			setting: duration(&c.Server.RequestTimeout, positive),
		},
		{
			name: "server.max_header_bytes", def: "32KiB",
			usage:   "most bytes of a request's headers",
			why:     "More is answered with 431.",
			setting: size(&c.Server.MaxHeaderBytes, within(KiB, 16*MiB)),
		},
		{
			name: "server.max_body_bytes", def: "1MiB",
			usage:   "most bytes of a request's body",
			why:     "More is answered with 413. Bodies are read into memory.",
			setting: size(&c.Server.MaxBodyBytes, within(KiB, GiB)),
		},
		{
			name: "server.max_import_bytes", def: "10MiB",
			usage:   "most bytes of a file of tasks that is imported",
			why:     "More is answered with 413. A file is held in memory while it is stored and while it is worked. It must come within request_timeout.",
			setting: size(&c.Server.MaxImportBytes, within(KiB, 100*MiB)),
		},
		{
			name: "server.max_upload_bytes", def: "25MiB",
			usage:   "most bytes of a file that is attached to a task",
			why:     "More is answered with 413. A file goes to disk as it comes, and is not held in memory. It must come within request_timeout.",
			setting: size(&c.Server.MaxUploadBytes, within(KiB, 10*1024*MiB)),
		},
		{
			name: "server.drain_time", def: "500ms",
			usage: "how long a stopping server goes on answering, with Connection: close, before it closes its listener",
			why: "Clients and load balancers go elsewhere meanwhile, so that none sends a request into a closing connection. Behind a balancer\n" +
				"that polls /readyz make it longer than two polls. 0s switches it off.",
			setting: duration(&c.Server.DrainTime, notNegative),
		},
		{
			name: "server.shutdown_timeout", def: "20s",
			usage: "how long requests under way may take after drain_time, before they are cut off",
			why: "drain_time and this together should be shorter than your supervisor's patience (Kubernetes: 30s, systemd: 90s)\n" +
				"and longer than request_timeout.",
			setting: duration(&c.Server.ShutdownTimeout, positive),
		},

		{
			name: "database.url", flag: "database-url", def: "",
			usage: "PostgreSQL to use, as its owner; empty: the embedded server of data_dir",
			why: "For example postgres://owner:password@db.example.com:5432/rowhouse?sslmode=verify-full. Better set by the environment than by a\n" +
				"flag, which everybody on the machine can read. User and password are the owner's and used only by `migrate`, `tenant`, `provision`,\n" +
				"`key`, `secrets`, `isolation` and `up`; `serve` and `work` take host, port, database and TLS from it and log in as roles of their own,\n" +
				"so leave them out there.",
			setting: databaseURL(&c.Database.URL),
		},
		{
			name: "database.login_secret", def: "",
			usage: "secret from which the passwords of Rowhouse's own roles are derived",
			why: "Needed with database.url; only `up` makes one of its own, and keeps it in data_dir. At least 32 characters, the same for every\n" +
				"process, for example from `openssl rand -base64 32`. There is no flag for it, because flags can be read by everybody on the machine.",
			setting: secret(&c.Database.LoginSecret, 32),
		},
		{
			name: "database.role_prefix", def: "rowhouse",
			usage:   "beginning of the names of Rowhouse's own roles",
			why:     "Roles belong to the PostgreSQL server, not to a database: two Rowhouses on one server need two prefixes.",
			setting: text(&c.Database.RolePrefix, "name", rolePrefix),
		},
		{
			name: "database.max_conns", def: "16",
			usage: "most connections that this process holds for the work of tenants",
			why: "A hard budget over all cells and dedicated tenants. Make it no smaller than the number of cells that are busy at once, since each\n" +
				"cell has its own login; one for every hundred to hundred and fifty tenants in use is quick, because each connection keeps the\n" +
				"plans of its own. The sum over all processes must fit into PostgreSQL's max_connections.",
			setting: number(&c.Database.MaxConns, within(1, 10_000)),
		},
		{
			name: "database.control_conns", def: "8",
			usage:   "most connections that this process holds for catalog and job queue",
			why:     "They come on top of max_conns. One more, on top of these, listens for changes of the catalog.",
			setting: number(&c.Database.ControlConns, within(2, 10_000)),
		},

		{
			name: "database.pooler_url", def: "",
			usage: "host, port and database of a PgBouncer in transaction mode, for the work of tenants; empty: connect directly",
			why: "For example postgres://pgbouncer.internal:6432/rowhouse. database.url must lead directly to PostgreSQL all the same: migrating,\n" +
				"listening and the job queue need sessions of their own. Through a pooler each statement takes one round trip more and is parsed\n" +
				"each time. A pooler that is not declared here, or that does not keep a transaction on one session, is refused.",
			setting: databaseURL(&c.Database.PoolerURL),
		},
		{
			name: "database.acquire_timeout", def: "5s",
			usage:   "how long a request waits for a connection before it is answered with 503",
			why:     "Shorter than server.request_timeout, so that the answer says what was wrong.",
			setting: duration(&c.Database.AcquireTimeout, positive),
		},
		{
			name: "database.idle_timeout", def: "1m",
			usage:   "how long a connection that nobody uses is kept",
			why:     "What another cell wants is given up at once, whatever this says.",
			setting: duration(&c.Database.IdleTimeout, positive),
		},
		{
			name: "database.max_relations", def: "600",
			usage: "how many tables, counted for each tenant, a connection touches before it is replaced",
			why: "PostgreSQL keeps what it has loaded of each table as long as a connection lives. This bounds the memory of each backend,\n" +
				"however many tenants there are.",
			setting: number(&c.Database.MaxRelations, within(10, 1_000_000)),
		},
		{
			name: "database.max_statements", def: "768",
			usage:   "most statements that are kept prepared on each connection",
			why:     "Each tenant has its own, so that plans last. A kept plan takes some 20 kB of the backend.",
			setting: number(&c.Database.MaxStatements, within(10, 100_000)),
		},

		{
			name: "jobs.workers", def: "20",
			usage: "most jobs that this process works at once, over all queues",
			why: "3 or more. A quarter of them is for critical jobs and a quarter for bulk ones, so that neither waits for the other. A job that\n" +
				"uses its tenant's data holds a connection of database.max_conns while it does.",
			setting: number(&c.Jobs.Workers, enoughWorkers, within(minWorkers, 10_000)),
		},
		{
			name: "jobs.max_per_tenant", def: "0",
			usage: "most jobs of one tenant that run at once in one queue, over all processes; 0 for no limit",
			why: "Tenants take turns in any case, and each process keeps one worker in twenty, one at the least, in each queue from whoever has all\n" +
				"the others. A limit is for jobs that take long, or call what must not be called too often. Give all processes the same.",
			setting: number(&c.Jobs.MaxPerTenant, within(0, 10_000)),
		},
		{
			name: "jobs.poll_interval", def: "100ms",
			usage:   "how often an idle queue is asked for jobs",
			why:     "The longest that a new job waits while a worker is free, because workers ask and are not called. Longer spares the database.",
			setting: duration(&c.Jobs.PollInterval, within(time.Millisecond, time.Hour)),
		},
		{
			name: "jobs.shutdown_timeout", def: "10s",
			usage:   "how long jobs under way may take when the process stops",
			why:     "Jobs that take longer are cancelled and worked again later.",
			setting: duration(&c.Jobs.ShutdownTimeout, positive),
		},
		{
			name: "jobs.ui_password", def: "",
			usage: "password of the job queue's pages at /jobs/ of the admin address; empty: there are none",
			why: "The pages show the jobs of all tenants with their arguments, and can retry, cancel and delete them and pause queues. At least 12\n" +
				"characters; the user is operator. It is sent with each request as it is: put TLS before the admin address, or reach it through a\n" +
				"tunnel. `work` and `up` have the pages. There is no flag for it, because flags can be read by everybody on the machine.",
			setting: secret(&c.Jobs.UIPassword, 12),
		},

		{
			name: "mail.from", def: "",
			usage: "sender of all mails; empty: no-reply at server.base_domain",
			why: "For example Acme <no-reply@example.com>. Needed with mail.smtp_url, because servers refuse senders that are not theirs. The\n" +
				"part after the @ is that of every Message-ID, too. The same for every process.",
			setting: sender(&c.Mail.From),
		},
		{
			name: "mail.smtp_url", def: "",
			usage: "mail server that takes the mails, with user and password",
			why: "smtps://user:password@smtp.example.com:465 is encrypted from the first byte. smtp://user:password@smtp.example.com:587 wants\n" +
				"STARTTLS; ?tls=opportunistic takes it if it is offered, ?tls=none does without, and then no password may be given unless the\n" +
				"server is on this machine. Reserved characters of user and password are percent-encoded. There is no flag for it.",
			setting: smtpURL(&c.Mail.SMTPURL),
		},
		{
			name: "mail.dir", def: "",
			usage: "directory into which mails are written as files, in place of mail.smtp_url",
			why: "For development: nobody sends them on. `up` uses mail in data_dir if neither is set, and shows what is there at /mailbox of\n" +
				"server.admin_addr; `work` wants one of the two.",
			setting: text(&c.Mail.Dir, "directory"),
		},
		{
			name: "files.dir", def: "",
			usage: "directory of the files that are attached to tasks; empty: files in data_dir",
			why: "A directory below it for each tenant. `serve`, `work` and `tenant delete` need the same one: on more than one machine, a file\n" +
				"system that they share. Back it up with the database.",
			setting: text(&c.Files.Dir, "directory"),
		},
		{
			name: "webhooks.allow_http", def: "false",
			usage:   "whether webhooks may go to http:// addresses",
			why:     "They carry customers' data, which anybody on the way could then read. `up` allows it.",
			setting: boolean(&c.Webhooks.AllowHTTP),
		},
		{
			name: "webhooks.allow_private", def: "false",
			usage: "whether webhooks may go to private and loopback addresses, and to every port",
			why: "Customers choose the addresses: with true they reach what this process reaches, metadata services of clouds included. Only for\n" +
				"installations all of whose customers may. `up` allows it.",
			setting: boolean(&c.Webhooks.AllowPrivate),
		},
		{
			name: "webhooks.disable_after", def: "120h",
			usage:   "how long a webhook may fail everything before it is disabled",
			why:     "Its customer enables it again. Longer than the three days for which one delivery is tried.",
			setting: duration(&c.Webhooks.DisableAfter, positive),
		},
		{
			name: "webhooks.keep", def: "720h",
			usage:   "how long deliveries of webhooks are kept, with their payloads",
			why:     "So long can they be looked at and sent again. At least 120h, since one delivery is tried for three days.",
			setting: duration(&c.Webhooks.Keep, within(120*time.Hour, 87_600*time.Hour)),
		},

		{
			name: "limits.address_per_second", def: "20",
			usage: "requests without credentials from one address in a second; 0: no limit",
			why: "More are answered with 429. An IPv6 network of 64 bits counts as one address. Behind a proxy that is not in server.trusted_proxies\n" +
				"all strangers share one.",
			setting: number(&c.Limits.AddressPerSecond, within(0, 1_000_000)),
		},
		{
			name: "limits.address_burst", def: "200",
			usage:   "requests without credentials from one address at once, after a pause",
			why:     "A page, its styles and scripts are several.",
			setting: number(&c.Limits.AddressBurst, within(1, 10_000_000)),
		},
		{
			name: "limits.failures_per_minute", def: "60",
			usage: "requests with bad credentials from one address in a minute; 0: no limit",
			why: "After more, whatever it shows is answered with 429 for a while. So a flood of made-up keys takes nothing of a tenant's share. An\n" +
				"office behind one address shares it.",
			setting: number(&c.Limits.FailuresPerMinute, within(0, 1_000_000)),
		},

		{
			name: "identity.session_idle", def: "24h",
			usage:   "how long a person stays signed in without a request",
			why:     "Shorter where screens are left alone: 1h, say. A session that is used lasts until session_lifetime.",
			setting: duration(&c.Identity.SessionIdle, within(5*time.Minute, 8_760*time.Hour)),
		},
		{
			name: "identity.session_lifetime", def: "720h",
			usage:   "how long a person stays signed in at most",
			why:     "Then a stolen cookie is nothing, whatever its thief does.",
			setting: duration(&c.Identity.SessionLifetime, within(5*time.Minute, 8_760*time.Hour)),
		},
		{
			name: "identity.password_memory", def: "19MiB",
			usage: "memory that one hash of a password takes (argon2id, two passes)",
			why: "More makes guessing dearer for who has stolen the hashes, and sign-in dearer for you: as many are computed at once as there are\n" +
				"processors, and the rest waits. Hashes are made anew as people sign in.",
			setting: size(&c.Identity.PasswordMemory, within(8*MiB, GiB)),
		},

		{
			name: "tenants.slug_quarantine", def: "720h",
			usage:   "how long the subdomain of a deleted tenant stays unused",
			why:     "Old links and clients that still know the name must not reach a stranger's tenant.",
			setting: duration(&c.Tenants.SlugQuarantine, positive),
		},
		{
			name: "tenants.cell_size", def: "1000",
			usage: "most tenants that share a login role",
			why: "After each change of any membership PostgreSQL looks up again what a login may become: half a millisecond with 500, 2 ms with\n" +
				"1000, 120 ms with 10000. Each cell that is busy takes at least one connection.",
			setting: number(&c.Tenants.CellSize, within(1, 1000)),
		},
		{
			name: "tenants.role_block", def: "20",
			usage:   "how many roles are made at once, ahead of their tenants",
			why:     "Each change of memberships costs every connection the lookup above: in a block it happens once.",
			setting: number(&c.Tenants.RoleBlock, within(1, 1000)),
		},
		{
			name: "tenants.lock_timeout", flag: "lock-timeout", def: "5s",
			usage: "how long a statement of a migration waits for a table's lock before the tenant is left as it was",
			why: "While it waits, everybody else who wants the table stands in line behind it: shorter is kinder. A run over the fleet tries\n" +
				"such a tenant again, after a pause.",
			setting: duration(&c.Tenants.LockTimeout, positive),
		},
		{
			name: "tenants.statement_timeout", flag: "statement-timeout", def: "0s",
			usage: "how long a statement of a migration may take; 0: the server's own setting",
			why: "It protects tenants from a migration that is slower on their data than anybody thought. It counts for CREATE INDEX\n" +
				"CONCURRENTLY, too, which takes long by nature.",
			setting: duration(&c.Tenants.StatementTimeout, notNegative),
		},

		{
			name: "provisioning.warm", def: "0",
			usage: "how many ready-made tenants are kept for those who will want one; 0: none",
			why: "Creating a sealed or dedicated tenant then takes one of them: milliseconds in place of its migrations' time. As many as may be\n" +
				"wanted at once. Each is a whole schema; `rowhouse provision` makes them, one at a time.",
			setting: number(&c.Provisioning.Warm, within(0, 1000)),
		},

		{
			name: "signup.enabled", def: "true",
			usage: "whether people may make tenants of their own on the base domain",
			why: "`serve` takes them and `provision` makes the tenants: without a process of the second kind nobody gets one. With false the form\n" +
				"says that it is closed.",
			setting: boolean(&c.Signup.Enabled),
		},
		{
			name: "signup.per_address", def: "5",
			usage: "most sign-ups in an hour from one address",
			why: "Counted over all processes: of an IPv6 address its /64, which is what one customer of a provider has. Behind a proxy that is not in\n" +
				"server.trusted_proxies everybody has the proxy's address.",
			setting: number(&c.Signup.PerAddress, within(1, 100_000)),
		},
		{
			name: "signup.per_hour", def: "200",
			usage:   "most sign-ups in an hour, from everywhere together",
			why:     "Each is a whole schema, so this bounds what a flood from many addresses can make.",
			setting: number(&c.Signup.PerHour, within(1, 1_000_000)),
		},

		{
			name: "isolation.signing_key", def: "",
			usage: "key that signs reports of isolation; empty: isolation.key in data_dir",
			why: "32 bytes in base64, for example from `openssl rand -base64 32`; `rowhouse isolation key` makes one and shows its public half.\n" +
				"It derives from nothing else, so that a report can be checked by people who hold no secret of yours.",
			setting: seed(&c.Isolation.SigningKey, 32),
		},

		{
			name: "log.level", def: "info",
			usage:   "least level that is logged: debug, info, warn or error",
			why:     "info has one line per request and per job.",
			setting: text(&c.Log.Level, "level", oneOf("debug", "info", "warn", "error")),
		},
		{
			name: "log.format", def: "auto",
			usage:   "form of log lines: json, console, or auto",
			why:     "auto is console on a terminal and json elsewhere.",
			setting: text(&c.Log.Format, "format", oneOf("auto", "json", "console")),
		},
	}
}

// conflict is a rule about more than one key.
type conflict struct {
	// keys are the keys it is about; the problem is reported at the first.
	keys    []string
	broken  bool
	message string
}

// conflicts gives the broken rules, without those about a key in bad, which has a problem of its own.
func (c Config) conflicts(bad map[string]bool) []Problem {
	s := c.Server
	shown := map[string]string{}
	for _, k := range tableOf(&c) {
		shown[k.name] = k.show()
	}
	var problems []Problem
	for _, rule := range []conflict{
		{
			[]string{"server.admin_addr", "server.addr"},
			s.AdminAddr == s.Addr && !strings.HasSuffix(s.Addr, ":0"),
			"must be another address than server.addr: what it shows is not for the public",
		},
		{
			[]string{"server.read_header_timeout", "server.read_timeout"},
			s.ReadHeaderTimeout > s.ReadTimeout,
			"must not be longer than server.read_timeout, which includes it (" + showDuration(s.ReadTimeout) + ")",
		},
		{
			[]string{"server.read_timeout", "server.request_timeout"},
			s.ReadTimeout <= s.RequestTimeout,
			"must be longer than server.request_timeout (" + showDuration(s.RequestTimeout) + ")",
		},
		{
			[]string{"server.write_timeout", "server.request_timeout"},
			s.WriteTimeout <= s.RequestTimeout,
			"must be longer than server.request_timeout (" + showDuration(s.RequestTimeout) + ")",
		},
		{
			[]string{"database.acquire_timeout", "server.request_timeout"},
			c.Database.AcquireTimeout >= s.RequestTimeout,
			"must be shorter than server.request_timeout (" + showDuration(s.RequestTimeout) + ")",
		},
		{
			[]string{"mail.smtp_url", "mail.dir"},
			c.Mail.SMTPURL.IsSet() && c.Mail.Dir != "",
			"must not be set together with mail.dir: a mail goes one way",
		},
		{
			[]string{"mail.from", "mail.smtp_url"},
			c.Mail.SMTPURL.IsSet() && c.Mail.From == (netmail.Address{}),
			"must be set with mail.smtp_url: give the address that your mail server sends for",
		},
	} {
		anyBad := false
		for _, name := range rule.keys {
			anyBad = anyBad || bad[name]
		}
		if rule.broken && !anyBad {
			problems = append(problems, Problem{Key: rule.keys[0], Value: shown[rule.keys[0]], Message: rule.message})
		}
	}
	return problems
}
