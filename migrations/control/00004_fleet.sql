-- +goose Up
-- Runs over many tenants, up to a version or down to one. What a tenant's version is stands in rowhouse.tenants; this says who is to move,
-- what became of it, and lets a run that was stopped go on.
create table rowhouse.fleet_runs (
    id         bigint      not null generated always as identity,
    down       boolean     not null default false,
    target     bigint      not null,
    -- running: somebody is at it, or has died. paused, stopped: it can be resumed. done: nobody is left.
    state      text        not null default 'running',
    reason     text        not null default '',
    options    jsonb       not null,
    started_by text        not null,
    started_at timestamptz not null default now(),
    -- When whoever is at it was last heard of.
    beat_at    timestamptz not null default now(),
    ended_at   timestamptz,
    constraint fleet_runs_pkey primary key (id),
    constraint fleet_runs_state_check check (state in ('running', 'paused', 'stopped', 'done', 'superseded'))
);

create table rowhouse.fleet_run_tenants (
    run          bigint  not null,
    tenant       text    not null,
    wave         integer not null,
    place        integer not null,
    state        text    not null default 'pending',
    from_version bigint  not null,
    to_version   bigint,
    attempts     integer not null default 0,
    error        text    not null default '',
    duration_ms  bigint,
    ended_at     timestamptz,
    constraint fleet_run_tenants_pkey primary key (run, tenant),
    constraint fleet_run_tenants_run_fkey foreign key (run) references rowhouse.fleet_runs (id) on delete cascade,
    constraint fleet_run_tenants_tenant_fkey foreign key (tenant) references rowhouse.tenants (id),
    constraint fleet_run_tenants_state_check check (state in ('pending', 'done', 'failed', 'gone'))
);
create index fleet_run_tenants_state_idx on rowhouse.fleet_run_tenants (run, state, wave, place);

-- +goose Down
drop table rowhouse.fleet_run_tenants;
drop table rowhouse.fleet_runs;
