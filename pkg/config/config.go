// Package config reads Rowhouse's configuration: one typed [Config] out of defaults, a file, the environment and flags.
//
//	flag  ▸  environment  ▸  file  ▸  default        what stands further left wins, key by key
//
// Guarantees:
//
//   - Every key is written down once, in the table of keys.go. Its name in the file, its environment variable (server.read_timeout is
//     ROWHOUSE_SERVER_READ_TIMEOUT), its flag, its default, its checks and its documentation in configs/rowhouse.yaml come from there.
//   - Nothing is ignored: an unknown key in the file and an unknown ROWHOUSE_ variable are refused, with what may have been meant.
//     An empty environment variable counts as not set; so does a key without a value in the file.
//   - All problems are reported at once, as one [*Error] that says for each where the value came from and what would be right.
//   - Secrets do not leak by accident: [Secret] and [URL] print and marshal redacted, also deep inside other values, and neither
//     problems nor entries hold them. Only their Reveal gives the value.
//
// The package has no state and reads nothing but the file: environment and flags are handed to [Load].
package config

import (
	netmail "net/mail"
	"net/netip"
	"path/filepath"
	"time"
)

// Config is the whole configuration. What each key means stands in keys.go.
type Config struct {
	DataDir      string
	Server       Server
	Database     Database
	Jobs         Jobs
	Mail         Mail
	Files        Files
	Webhooks     Webhooks
	Limits       Limits
	Identity     Identity
	Tenants      Tenants
	Provisioning Provisioning
	Signup       Signup
	Isolation    Isolation
	Log          Log
}

// Server is the section "server": the two HTTP servers.
type Server struct {
	Addr       string
	AdminAddr  string
	BaseDomain string
	// PublicURL is empty where it follows from the base domain; see [Config.TenantOrigin].
	PublicURL         string
	TrustedProxies    []netip.Prefix
	CORSOrigins       []string
	ReadHeaderTimeout time.Duration
	ReadTimeout       time.Duration
	WriteTimeout      time.Duration
	IdleTimeout       time.Duration
	RequestTimeout    time.Duration
	MaxHeaderBytes    ByteSize
	MaxBodyBytes      ByteSize
	MaxImportBytes    ByteSize
	MaxUploadBytes    ByteSize
	DrainTime         time.Duration
	ShutdownTimeout   time.Duration
}

// Limits is the section "limits": what those may take who have not said who they are.
type Limits struct {
	AddressPerSecond  int
	AddressBurst      int
	FailuresPerMinute int
}

// Database is the section "database": PostgreSQL, and what this process may take of it.
type Database struct {
	URL            URL
	LoginSecret    Secret
	RolePrefix     string
	PoolerURL      URL
	MaxConns       int
	ControlConns   int
	AcquireTimeout time.Duration
	IdleTimeout    time.Duration
	MaxRelations   int
	MaxStatements  int
}

// Jobs is the section "jobs": the background work of this process.
type Jobs struct {
	Workers         int
	MaxPerTenant    int
	PollInterval    time.Duration
	ShutdownTimeout time.Duration
	UIPassword      Secret
}

// Mail is the section "mail": how mails leave the house. At most one of SMTPURL and Dir is set.
type Mail struct {
	// From is zero if it is not set; see [Config.Sender].
	From    netmail.Address
	SMTPURL SMTP
	Dir     string
}

// Files is the section "files": where customers' files lie. See [Config.FilesDir].
type Files struct {
	Dir string
}

// FilesDirName is the directory of customers' files in data_dir.
const FilesDirName = "files"

// FilesDir is the directory of customers' files: files.dir, or files in data_dir.
func (c Config) FilesDir() string {
	if c.Files.Dir == "" {
		return filepath.Join(c.DataDir, FilesDirName)
	}
	return c.Files.Dir
}

// Webhooks is the section "webhooks": what customers' own systems are told.
type Webhooks struct {
	AllowHTTP    bool
	AllowPrivate bool
	DisableAfter time.Duration
	Keep         time.Duration
}

// Identity is the section "identity": how the tenants' people enter.
type Identity struct {
	SessionIdle     time.Duration
	SessionLifetime time.Duration
	// PasswordMemory is what one hash of a password takes.
	PasswordMemory ByteSize
}

// Tenants is the section "tenants": rules that hold for every tenant.
type Tenants struct {
	SlugQuarantine time.Duration
	CellSize       int
	RoleBlock      int
	// LockTimeout and StatementTimeout bound the statements of migrations; 0 for the second is the server's own.
	LockTimeout      time.Duration
	StatementTimeout time.Duration
}

// Provisioning is the section "provisioning": the tenants that are made ahead.
type Provisioning struct {
	Warm int
}

// Signup is the section "signup": people who make a tenant of their own.
type Signup struct {
	Enabled bool
	// PerAddress and PerHour are the most in an hour.
	PerAddress, PerHour int
}

// Isolation is the section "isolation".
type Isolation struct {
	SigningKey Secret
}

// Log is the section "log".
type Log struct {
	Level  string
	Format string
}
