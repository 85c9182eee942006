// Package pgserver runs the PostgreSQL that Rowhouse brings along: the one behind `rowhouse up` and the tests.
//
// [Start] makes a database cluster in a data directory when there is none, runs `postgres` on it as a child process and waits until it
// accepts connections. A data directory holds
//
//	lock          held by flock as long as a server runs, names the process that runs it
//	server.json   port and administrator's password; mode 0600; see [State]
//	pg            the database cluster, or a symbolic link to it
//	postgres.log  what PostgreSQL has to say
//	bin           PostgreSQL's programs, where none were installed and they were downloaded
//
// Its guarantees:
//   - Nothing is lost. A directory that is not a data directory is refused untouched; a cluster is complete or absent, because initdb
//     works aside and its result is renamed; one that PostgreSQL 15 made is run by 15 or not at all.
//   - One data directory has one server. Whoever comes second is told whose process was first.
//   - A server does not outlive who started it. [Server.Stop] ends it in order; when the starting process is killed, the kernel tells
//     the server (on Linux), and what is left all the same is found and stopped by the next Start.
//   - It listens on 127.0.0.1 only, without a Unix socket, and wants a password (scram-sha-256) of 130 random bits.
//
// PostgreSQL refuses to run as root. Started by root, it runs as the owner of the cluster, which for a new one is the user postgres, else
// nobody. When that user cannot reach the data directory, because it lies in /root or a directory of mode 0700, the cluster is put below
// /var/lib/rowhouse and `pg` is a link to it. [Destroy] knows about that.
//
// Errors that a person can do something about are [apperr.Error] with one line that says what; the one of a server that does not start
// ends with the last lines of its log.
package pgserver
