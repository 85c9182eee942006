package tenantschema

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// The seal. A login role may become any tenant of its cell, so SQL that somebody has smuggled in could change the role. What it cannot do
// is make a seal: a scope sends, in its own round trip, the transaction-local setting
//
//	rowhouse.seal = <key id>.<expiry>.<HMAC-SHA256(key, schema|backend pid|expiry)>
//
// and a restrictive policy on every table of a sealed tenant asks seal.sealed(schema) whether it is there and right. The function reads
// the key as the owner; nobody else can. A seal is good for one schema, on one backend, for [sealFor]; expiry is held against the start of
// the transaction, so that a long transaction does not lose it half-way. Without a right seal the function fails (42501): data that
// cannot be read is never taken for data that is not there.

// SealKey is a secret that the server and the processes that serve share.
type SealKey struct {
	// ID names the key: 1 to 32 of a-z and 0-9.
	ID string
	// Secret is 32 bytes or more.
	Secret []byte
}

// sealFor is how long a seal may wait for its transaction to begin. It covers a stall between making and using it, and no more.
const sealFor = 20 * time.Second

// sealSetting carries the seal. Its value can be read by the tenant's own SQL, to whom it gives nothing that it does not have.
const sealSetting = "rowhouse.seal"

// minSealSecret is the least length of a key in bytes: HMAC-SHA256's own strength.
const minSealSecret = 32

// sealBlock is SHA-256's block size, to which HMAC pads its key (RFC 2104).
const sealBlock = 64

func (k SealKey) validate() error {
	if k.ID == "" || len(k.ID) > 32 || strings.ContainsFunc(k.ID, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
		return fmt.Errorf("tenantschema: a seal key's id has 1 to 32 of a-z and 0-9, not %q", k.ID)
	}
	if len(k.Secret) < minSealSecret {
		return fmt.Errorf("tenantschema: a seal key's secret has %d bytes or more", minSealSecret)
	}
	return nil
}

// pads gives the key XOR ipad and XOR opad, which is all that HMAC wants of a key.
func (k SealKey) pads() (inner, outer []byte) {
	secret := k.Secret
	if len(secret) > sealBlock {
		sum := sha256.Sum256(secret)
		secret = sum[:]
	}
	inner, outer = make([]byte, sealBlock), make([]byte, sealBlock)
	copy(inner, secret)
	copy(outer, secret)
	for i := range inner {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	return inner, outer
}

// seal gives the setting's value for a transaction of name that begins on the backend pid before expiry, by the server's clock.
func (k SealKey) seal(name Name, pid uint32, expiry time.Time) []byte {
	exp := strconv.FormatInt(expiry.Unix(), 10)
	mac := hmac.New(sha256.New, k.Secret)
	var text [128]byte
	message := append(text[:0], name.s...)
	message = append(message, '|')
	message = strconv.AppendUint(message, uint64(pid), 10)
	message = append(message, '|')
	message = append(message, exp...)
	mac.Write(message)
	value := make([]byte, 0, len(k.ID)+len(exp)+2+2*sha256.Size)
	value = append(value, k.ID...)
	value = append(value, '.')
	value = append(value, exp...)
	value = append(value, '.')
	return hex.AppendEncode(value, mac.Sum(message[:0]))
}

// made reports whether a seal is of this key.
func (k SealKey) made(seal []byte) bool {
	return len(seal) > len(k.ID) && seal[len(k.ID)] == '.' && string(seal[:len(k.ID)]) == k.ID
}

// SealedSQL gives the SQL condition that holds when the transaction bears the seal of the schema that the expression names, and fails
// otherwise. It is evaluated once per statement, when the first row is held against it.
func SealedSQL(schemaExpression string) string {
	return "(select seal.sealed(" + schemaExpression + "))"
}

// gateSQL is [SealedSQL] for the schema of name, asked when the query is planned as well. Row level security asks about rows, and an index
// is searched before it by what is leakproof: without the second question a query that finds nothing would not be refused, so that
// refusals would tell what there is. It also keeps EXPLAIN's estimates from who has no seal.
func gateSQL(name Name) string {
	return SealedSQL("'"+name.s+"'") + " and seal.planned('" + name.s + "')"
}

// sealSQL makes all that the seal needs in a database. It may be repeated.
func sealSQL() []string {
	return []string{
		"create schema if not exists seal",
		// hint is what lets a process derive the secret that it knows how to derive; the pads are for the function alone.
		`create table if not exists seal.keys (
			id         text        not null constraint keys_pkey primary key,
			hint       bytea       not null,
			inner_pad  bytea       not null,
			outer_pad  bytea       not null,
			created_at timestamptz not null default clock_timestamp()
		)`,
		"revoke all on schema seal from public",
		"revoke all on seal.keys from public",
		// It runs as the owner, who alone can read the pads, under a path of its own: no other path can make its names mean something else,
		// and its plans stay valid whoever calls. PARALLEL RESTRICTED: a parallel worker has another pid. The MAC is compared before
		// anything is parsed. Nobody needs USAGE on the schema: policies and views carry the function's oid.
		`create or replace function seal.sealed(schema text) returns boolean
			language plpgsql stable security definer parallel restricted cost 1000 set search_path = pg_catalog
		as $$` + sealedBody() + `$$`,
		// Every tenant's policies call it as the tenant. Without USAGE on the schema nobody can name it.
		"grant execute on function seal.sealed(text) to public",
		// IMMUTABLE is untrue, and makes the planner evaluate it. What is planned under a seal and executed without one meets sealed.
		`create or replace function seal.planned(schema text) returns boolean
			language plpgsql immutable security definer parallel restricted cost 1000 set search_path = pg_catalog
		as $$` + plannedBody + `$$`,
		"grant execute on function seal.planned(text) to public",
	}
}

// plannedBody is the source of seal.planned.
const plannedBody = " begin return seal.sealed(schema); end "

// sealedBody is the source of seal.sealed.
func sealedBody() string {
	return `
		declare
			given   text := current_setting('` + sealSetting + `', true);
			expires text := split_part(given, '.', 2);
			inner_k bytea;
			outer_k bytea;
		begin
			select k.inner_pad, k.outer_pad into inner_k, outer_k from seal.keys k where k.id = split_part(given, '.', 1);
			if split_part(given, '.', 3) = encode(sha256(outer_k || sha256(inner_k ||
				convert_to(schema || '|' || pg_backend_pid() || '|' || expires, 'UTF8'))), 'hex') then
				if to_timestamp(expires::float8) >= now() then
					return true;
				end if;
				raise insufficient_privilege using message = 'the seal of schema ' || schema || ' has expired', constraint = 'seal',
					hint = 'A seal is made for the beginning of one transaction. Does the clock of the server jump?';
			end if;
			raise insufficient_privilege using message = 'the transaction does not bear the seal of schema ' || schema, constraint = 'seal',
				hint = 'Reach a tenant through its scope.';
		end
		`
}

// SealSchemaKey changes whenever [SetUpSeal] would make something else. Test databases are kept by it.
func SealSchemaKey() string { return strings.Join(sealSQL(), ";\n") }

// SetUpSeal makes the schema seal in the owner's database, or brings it up to date. It may be repeated.
func SetUpSeal(ctx context.Context, tx pgx.Tx) error {
	for _, sql := range sealSQL() {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("set up seal: %w", err)
		}
	}
	return nil
}

// AddSealKey makes key valid, from the commit of tx on. hint is kept beside it, for those who derive the secret from it. Keys that are
// older than the keep newest ones stop being valid: with keep 2 the key that processes still use stays good while they learn of the new
// one. keep counts the new key; 0 keeps all.
func AddSealKey(ctx context.Context, tx pgx.Tx, key SealKey, hint []byte, keep int) error {
	if err := key.validate(); err != nil {
		return err
	}
	inner, outer := key.pads()
	_, err := tx.Exec(ctx, "insert into seal.keys (id, hint, inner_pad, outer_pad) values ($1, $2, $3, $4)", key.ID, hint, inner, outer)
	if err != nil {
		return fmt.Errorf("add seal key: %w", err)
	}
	if keep == 0 {
		return nil
	}
	_, err = tx.Exec(ctx, "delete from seal.keys where id not in (select id from seal.keys order by created_at desc, id limit $1)", keep)
	if err != nil {
		return fmt.Errorf("retire seal keys: %w", err)
	}
	return nil
}

// HasSealKey reports whether key is valid: known by its id, and of the same secret.
func HasSealKey(ctx context.Context, tx pgx.Tx, key SealKey) (valid bool, err error) {
	inner, _ := key.pads()
	err = tx.QueryRow(ctx, "select exists (select from seal.keys where id = $1 and inner_pad = $2)", key.ID, inner).Scan(&valid)
	if err != nil {
		return false, fmt.Errorf("look for seal key: %w", err)
	}
	return valid, nil
}

// unsealed reports whether err is the seal's refusal.
func unsealed(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == "42501" && pgErr.ConstraintName == "seal"
}
