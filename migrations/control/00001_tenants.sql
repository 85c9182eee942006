-- +goose Up
create table rowhouse.tenants (
    id             text        not null,
    slug           text        not null,
    name           text        not null,
    schema_name    text        not null generated always as ('t_' || id) stored,
    cell           integer     not null default 1,
    placement      text        not null default 'local',
    tier           text        not null default 'pooled',
    plan           text        not null default 'standard',
    state          text        not null,
    state_reason   text        not null default '',
    -- Why the schema may be half-way between two versions; empty when it is not.
    migration_error text       not null default '',
    schema_version bigint      not null default 0,
    fingerprint    text,
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now(),
    deleted_at     timestamptz,
    constraint tenants_pkey primary key (id),
    constraint tenants_id_check check (id ~ '^[a-z0-9]{16}$'),
    constraint tenants_slug_check check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    constraint tenants_name_check check (char_length(name) between 1 and 200),
    constraint tenants_cell_check check (cell between 1 and 9999),
    constraint tenants_tier_check check (tier in ('pooled', 'sealed', 'dedicated', 'database')),
    constraint tenants_state_check check (
        state in ('provisioning', 'ready', 'suspended', 'migrating', 'quarantined', 'archived', 'deleted')),
    constraint tenants_deleted_check check ((state = 'deleted') = (deleted_at is not null))
);
comment on table rowhouse.tenants is 'One row per tenant, kept after deletion: its id is never given to another, its slug not at once.';

-- A slug belongs to one living tenant; deleted ones keep theirs for the quarantine.
create unique index tenants_slug_key on rowhouse.tenants (slug) where state <> 'deleted';
create index tenants_deleted_slug_idx on rowhouse.tenants (slug, deleted_at) where state = 'deleted';
-- Who is behind, in one query.
create index tenants_version_idx on rowhouse.tenants (schema_version) where state not in ('archived', 'deleted');

-- +goose StatementBegin
create function rowhouse.tenants_changed() returns trigger
    language plpgsql set search_path = ''
as $$
begin
    if tg_op = 'UPDATE' then
        new.updated_at := pg_catalog.now();
    end if;
    -- A hint for the processes that keep the catalog in memory: they read the row again.
    perform pg_catalog.pg_notify('rowhouse_tenants', new.id);
    return new;
end
$$;
-- +goose StatementEnd

create trigger tenants_changed before insert or update on rowhouse.tenants
    for each row execute function rowhouse.tenants_changed();

-- +goose Down
drop table rowhouse.tenants;
drop function rowhouse.tenants_changed();
