package tenantschema

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// copyRows is how many rows one INSERT carries where COPY cannot be used.
const copyRows = 100

// maxParams is the most parameters that the protocol lets a statement have.
const maxParams = 65535

// CopyFrom puts rows into a table of the tenant. tableName is one part: the path chooses the schema.
//
// In a tenant of [TierPooled] it is PostgreSQL's COPY. Tables with policies take no COPY, so in the others the rows travel in INSERTs of
// a hundred rows each, which ask for the seal once.
func (tx *Tx) CopyFrom(ctx context.Context, tableName pgx.Identifier, columns []string, src pgx.CopyFromSource) (int64, error) {
	if err := tx.closed(); err != nil {
		return 0, err
	}
	if tx.platform { // COPY cannot share a round trip with the change of role, so it would run as the tenant.
		return 0, errCopyAsPlatform
	}
	if len(tableName) != 1 {
		return 0, fmt.Errorf("tenantschema: CopyFrom takes a table name without a schema, not %s", tableName.Sanitize())
	}
	if len(columns) == 0 || len(columns) > maxParams/copyRows {
		return 0, fmt.Errorf("tenantschema: CopyFrom takes 1 to %d columns, not %d", maxParams/copyRows, len(columns))
	}
	if tx.l.t.Tier == TierPooled || tx.l.t.Tier == "" {
		if err := tx.open(ctx); err != nil {
			return 0, err
		}
		return tx.l.c.pg.CopyFrom(ctx, tableName, columns, src)
	}
	var copied int64
	var args []any
	for src.Next() {
		row, err := src.Values()
		if err != nil {
			return copied, err
		}
		if len(row) != len(columns) {
			return copied, fmt.Errorf("tenantschema: CopyFrom was given a row of %d values for %d columns", len(row), len(columns))
		}
		if args = append(args, row...); len(args) == copyRows*len(columns) {
			if err = tx.insertRows(ctx, tableName, columns, args); err != nil {
				return copied, err
			}
			copied, args = copied+copyRows, args[:0]
		}
	}
	if err := src.Err(); err != nil {
		return copied, err
	}
	// One by one, so that one statement serves every number of rows that are left.
	batch := &pgx.Batch{}
	sql := insertSQL(tableName, columns, 1)
	for at := 0; at < len(args); at += len(columns) {
		batch.Queue(sql, args[at:at+len(columns)]...)
	}
	if batch.Len() == 0 {
		return copied, nil
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return copied, err
	}
	return copied + int64(batch.Len()), nil
}

func (tx *Tx) insertRows(ctx context.Context, table pgx.Identifier, columns []string, args []any) error {
	tag, err := tx.Exec(ctx, insertSQL(table, columns, copyRows), args...)
	if err == nil && tag.RowsAffected() != copyRows {
		err = errors.New("tenantschema: CopyFrom: a rule or trigger kept rows out")
	}
	return err
}

func insertSQL(table pgx.Identifier, columns []string, rows int) string {
	var sql strings.Builder
	sql.WriteString("insert into " + table.Sanitize() + " (")
	for i, column := range columns {
		if i > 0 {
			sql.WriteString(", ")
		}
		sql.WriteString(pgx.Identifier{column}.Sanitize())
	}
	sql.WriteString(") values ")
	for param := 1; param <= rows*len(columns); param++ {
		switch {
		case param == 1:
			sql.WriteString("(")
		case (param-1)%len(columns) == 0:
			sql.WriteString("), (")
		default:
			sql.WriteString(", ")
		}
		sql.WriteString("$" + strconv.Itoa(param))
	}
	sql.WriteString(")")
	return sql.String()
}
