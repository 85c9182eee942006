package jobqueue

import (
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
)

// turnsIndex is what turns walk by. It holds the jobs that wait and no others.
const turnsIndex = "create index if not exists rowhouse_turns on river.river_job " +
	"using btree (queue, (" + owner + "), priority, scheduled_at, id) where state = 'available'"

// owner is the tenant of a job, empty for the platform's.
const owner = `coalesce(metadata ->> 'tenant', '') collate "C"`

// settleSQL prepares the transaction of a fetch. The queue is empty one moment and holds a million jobs the next, so that the statistics by
// which PostgreSQL chooses are worth nothing: it is told to walk by the index, and to keep the plan, since making one takes longer than the
// walk. The transaction need not be on disk when it ends: jobs whose taking is lost in a crash of the server are taken again, as they are when
// their worker dies.
const settleSQL = `select set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
	set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true), set_config('enable_sort', 'off', true),
	set_config('enable_incremental_sort', 'off', true), set_config('jit', 'off', true),
	set_config('plan_cache_mode', 'force_generic_plan', true), set_config('synchronous_commit', 'off', true)`

// lockOf names the table that is locked by who fetches from a queue, so that one process does after the other: they would take the same
// jobs, and count what runs by the same rows. It holds nothing. An advisory lock could be held by any role that guesses its number.
func lockOf(queue string) string { return schema + ".rowhouse_turns_" + queue }

// turnsTables makes what the turns need beside River's tables.
func turnsTables() []string {
	made := []string{turnsIndex}
	for _, queue := range Queues() {
		made = append(made, "create table if not exists "+lockOf(queue)+" ()")
	}
	return made
}

// lookAhead bounds how many tenants that cannot be served now, or have no room, are passed by in one fetch.
const lookAhead = 1000

// takeSQL walks over the tenants, each step of the walk giving a tenant's first job as well: while there are more tenants than free workers,
// that is all there is to know. What was cancelled in the meantime is not updated, and so not taken.
var takeSQL = strings.NewReplacer( //nolint:gochecknoglobals // A constant, but for its form.
	"{owner}", owner, "{ahead}", strconv.Itoa(lookAhead),
	"{first}", owner+` as tenant, id, kind from river.river_job where state = 'available' and queue = $1`,
).Replace(`with recursive
ahead (tenant, id, kind, seen) as (
	(select tenant, id, kind, 1 from (select {first} and {owner} > $2 order by {owner}, priority, scheduled_at, id limit 1) j)
	union all
	select next.tenant, next.id, next.kind, seen + 1 from ahead cross join lateral
		(select {first} and {owner} > ahead.tenant order by {owner}, priority, scheduled_at, id limit 1) next where seen < {ahead}
),
behind (tenant, id, kind, seen) as (
	(select tenant, id, kind, 1 from (select {first} and {owner} <= $2 order by {owner}, priority, scheduled_at, id limit 1) j)
	union all
	select next.tenant, next.id, next.kind, seen + 1 from behind cross join lateral (select {first} and {owner} > behind.tenant and {owner} <= $2
		order by {owner}, priority, scheduled_at, id limit 1) next where seen < {ahead}
),
busy (tenant, jobs) as materialized (
	select {owner}, count(*) from river.river_job where $8 > 0 and state = 'running' and queue = $1 group by 1
),
turns (tenant, known, id, simple, room, turn) as materialized (
	select tenant, known, id, simple, room, row_number() over () from (
		select w.tenant, t.updated_at as known, w.id, $4::text[] is null or w.kind = any($4) as simple,
			least($7 - coalesce(($6::int[])[array_position($5::text[], w.tenant)], 0),
				case when $8 > 0 then $8 - coalesce((select jobs from busy where busy.tenant = w.tenant), 0) else $7 end) as room
		from (select tenant, id, kind from ahead union all select tenant, id, kind from behind) w
		left join rowhouse.tenants t on t.id = w.tenant collate "default"
		where w.tenant = '' or t.id is null or t.state in ('archived', 'deleted')
			or t.state in ('ready', 'migrating') and t.schema_version >= $9 and ($10 = 0 or t.schema_version <= $10)
	) able where room > 0 limit $3
),
share (jobs) as materialized (select ($3 + count(*) - 1) / greatest(count(*), 1) from turns),
picked (id, tenant, known, turn, share, room, place) as materialized (
	select id, tenant, known, turn, 1, room, 1 from turns where simple and (select jobs from share) = 1
	union all
	select j.id, u.tenant, u.known, u.turn, u.share, u.room, j.place from (
		select tenant, known, turn, room, least(room, (select jobs from share)) as share from turns where not simple or (select jobs from share) > 1
	) u cross join lateral (
		select id, row_number() over () as place from (
			select id from river.river_job where state = 'available' and queue = $1 and {owner} = u.tenant
				and ($4::text[] is null or kind = any($4))
			order by {owner}, priority, scheduled_at, id limit u.share
		) own
	) j order by 7, 4 limit $3
)
update river.river_job j set state = 'running', attempt = attempt + 1, attempted_at = coalesce($11::timestamptz, now()),
	attempted_by = array_append(case when array_length(attempted_by, 1) >= $13::int
		then attempted_by[array_length(attempted_by, 1) + 2 - $13::int:] else attempted_by end, $12::text)
from picked where j.id = picked.id and j.state = 'available'
returning picked.tenant, picked.known, picked.turn::int, picked.share::int, picked.room::int, picked.place::int,
	j.id, j.args, j.attempt, j.attempted_at, j.attempted_by, j.created_at, j.errors, j.finalized_at, j.kind, j.max_attempts, j.metadata,
	j.priority, j.queue, j.scheduled_at, j.state, j.tags, j.unique_key, j.unique_states`)

// taken is a job that is ours to work, and by what turn.
type taken struct {
	tenant                   string
	known                    *time.Time // as of when the tenant's row was
	turn, share, room, place int
	row                      *rivertype.JobRow
	err                      error // what of it could not be read
}

func scanTaken(row pgx.CollectableRow) (taken, error) {
	j := &rivertype.JobRow{}
	t := taken{row: j}
	var past [][]byte
	var unique pgtype.Bits
	err := row.Scan(&t.tenant, &t.known, &t.turn, &t.share, &t.room, &t.place,
		&j.ID, &j.EncodedArgs, &j.Attempt, &j.AttemptedAt, &j.AttemptedBy, &j.CreatedAt, &past, &j.FinalizedAt, &j.Kind, &j.MaxAttempts,
		&j.Metadata, &j.Priority, &j.Queue, &j.ScheduledAt, &j.State, &j.Tags, &j.UniqueKey, &unique)
	if err != nil {
		return t, err
	}
	j.CreatedAt, j.ScheduledAt = j.CreatedAt.UTC(), j.ScheduledAt.UTC()
	if j.AttemptedAt != nil {
		*j.AttemptedAt = j.AttemptedAt.UTC()
	}
	j.Errors = make([]rivertype.AttemptError, len(past))
	for i, one := range past {
		if t.err = riverdriver.UnmarshalAttemptError(one, &j.Errors[i]); t.err != nil {
			j.Errors = nil
			break
		}
	}
	return t, nil
}
