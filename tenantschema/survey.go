package tenantschema

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// HoldsData says what is in a schema that would be lost with it: the first table that has a row, or something whose rows cannot be looked at. It
// is "" if there is nothing. goose's own table does not count.
func HoldsData(ctx context.Context, tx pgx.Tx, name Name) (string, error) {
	rows, err := tx.Query(ctx, `select c.relname::text, `+relationKind+`,
			case when not pg_catalog.pg_has_role(n.nspowner, 'USAGE') then 'its schema is owned by ' || pg_catalog.pg_get_userbyid(n.nspowner)
				when not pg_catalog.pg_has_role(c.relowner, 'USAGE') then 'it is owned by ' || pg_catalog.pg_get_userbyid(c.relowner)
				when c.relkind not in ('r', 'p') then 'its rows are not its own'
				when c.relforcerowsecurity then 'its policies hide rows from its owner' else '' end
		from pg_catalog.pg_namespace n join pg_catalog.pg_class c on c.relnamespace = n.oid
		where n.nspname = $1 and c.relkind in ('r', 'p', 'm', 'f') and c.relname <> $2 order by 1`, name.String(), VersionTable)
	if err != nil {
		return "", fmt.Errorf("list tables of %s: %w", name, err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Name, Kind, Hidden string }])
	if err != nil {
		return "", fmt.Errorf("list tables of %s: %w", name, err)
	}
	for _, t := range tables {
		if t.Hidden != "" {
			return t.Kind + " " + t.Name + ": " + t.Hidden, nil
		}
		var holds bool
		if err = tx.QueryRow(ctx, "select exists (select from "+pgx.Identifier{name.String(), t.Name}.Sanitize()+")").Scan(&holds); err != nil {
			return "", fmt.Errorf("look into %s.%s: %w", name, t.Name, err)
		}
		if holds {
			return t.Kind + " " + t.Name + " has rows", nil
		}
	}
	return "", nil
}

// SchemaVersions reads from each schema the newest version that goose has written down. A schema without its table is left out.
func SchemaVersions(ctx context.Context, tx pgx.Tx, names []Name) (map[Name]int64, error) {
	texts, byText := make([]string, len(names)), map[string]Name{}
	for i, name := range names {
		texts[i], byText[name.String()] = name.String(), name
	}
	rows, err := tx.Query(ctx, `select n.nspname::text from pg_catalog.pg_namespace n join pg_catalog.pg_class c on c.relnamespace = n.oid
		where n.nspname = any($1::text[]::name[]) and c.relname = $2 and c.relkind = 'r'`, texts, VersionTable)
	if err != nil {
		return nil, fmt.Errorf("list schemas' versions: %w", err)
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(there) == 0 {
		return nil, err
	}
	selects := make([]string, len(there))
	for i, text := range there {
		selects[i] = "select '" + text + "', coalesce(max(version_id), 0) from " + byText[text].Quote() + "." + VersionTable
	}
	if rows, err = tx.Query(ctx, strings.Join(selects, " union all ")); err != nil {
		return nil, fmt.Errorf("read schemas' versions: %w", err)
	}
	versions, text, version := map[Name]int64{}, "", int64(0)
	_, err = pgx.ForEachRow(rows, []any{&text, &version}, func() error { versions[byText[text]] = version; return nil })
	if err != nil {
		return nil, fmt.Errorf("read schemas' versions: %w", err)
	}
	return versions, nil
}
