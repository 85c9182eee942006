package tenantschema_test

const (
	whyOwnJobs = "Who writes a tenant's SQL can enqueue any kind of job for that tenant, as its own code can. A job never runs for another tenant."
	whyPace    = "All tenants' jobs take their numbers from one sequence: it tells how many jobs there are between two looks, for all tenants together."
	jobColumns = "insert into river.river_job (args, kind, max_attempts, metadata"
)

// jobAttacks are on the queue, which all tenants share: as the role that enqueues, in the name of the victim.
func jobAttacks() []attack {
	const claim = "set local rowhouse.tenant = '{vid}'"
	job := func(id, tries string, without []string, sql ...string) attack {
		return attack{
			id: id, class: "jobs", strength: several, tries: tries, sql: append([]string{"set local role {enqueue}"}, sql...), without: without,
			done: true, plain: "sss",
		}
	}
	open := []string{"alter table river.river_job disable row level security"}
	seed := "insert into river.river_job (args, kind, max_attempts, metadata) values ('{}', 'note', 1, jsonb_build_object('tenant', '{vid}', 'note', '{marker}'))"
	powerful := []string{"alter role {enqueue} superuser"}
	return []attack{
		job("jobs-read", "read the victim's jobs", append([]string{seed}, open...), claim,
			"select metadata::text from river.river_job").shown("{marker}"),
		job("jobs-read-all", "read all jobs, naming no tenant", append([]string{seed}, open...),
			"select metadata::text from river.river_job").shown("{marker}"),
		job("jobs-insert", "enqueue a job for the victim", open, claim, jobColumns+") values ('{}', 'note', 1, '{\"tenant\": \"{vid}\"}')"),
		job("jobs-disguise", "enqueue a job for oneself that names the victim as well", open, "set local rowhouse.tenant = '{aid}'",
			jobColumns+") values ('{}', 'note', 1, '{\"tenant\": \"{aid}\", \"tenant\": \"{vid}\"}')"),
		job("jobs-cancel", "cancel the victim's jobs", powerful, claim, "update river.river_job set state = 'cancelled', finalized_at = now()"),
		job("jobs-delete", "delete all jobs", powerful, "delete from river.river_job"),
		job("jobs-pause", "pause the queues", powerful, "update river.river_queue set paused_at = now()"),
		job("jobs-leader", "become the leader of River's processes", powerful, "delete from river.river_leader"),
		job("jobs-number", "set the sequence back, so that everybody's jobs fail", powerful, "select setval('river.river_job_id_seq', 1)"),
		job("jobs-squat", "take a number that the sequence has yet to give, so that somebody's job fails", []string{"alter table river.river_job disable row level security"},
			"set local rowhouse.tenant = '{aid}'",
			jobColumns+", id) values ('{}', 'note', 1, '{\"tenant\": \"{aid}\"}', nextval('river.river_job_id_seq') + 1)"),
		job("jobs-key", "take the key of a unique job of the victim's, so that it is never enqueued", open, "set local rowhouse.tenant = '{aid}'",
			jobColumns+", unique_key, unique_states) values "+
				"('{}', 'note', 1, '{\"tenant\": \"{aid}\"}', convert_to('{vid}/x', 'UTF8'), 255::bit(8))"),
		job("jobs-stall", "lock the table that whoever takes jobs has to lock", powerful, "lock table river.rowhouse_turns_default"),
		job("jobs-own", "enqueue a job of any kind for oneself", nil, "set local rowhouse.tenant = '{aid}'",
			jobColumns+") values ('{}', 'note', 1, '{\"tenant\": \"{aid}\"}')").open("ooo", "ooo", whyOwnJobs),
		job("jobs-pace", "read from the sequence how many jobs everybody enqueues", nil, "select nextval('river.river_job_id_seq')").open("ooo",
			"ooo", whyPace),
		{
			id: "jobs-as-tenant", class: "jobs", strength: whole, tries: "read jobs in one's own role",
			sql: []string{"select metadata::text from river.river_job"},
			without: []string{seed, "alter table river.river_job disable row level security", "grant usage on schema river to {a}",
				"grant select on river.river_job to {a}"},
			plain: "sss",
		},
	}
}
