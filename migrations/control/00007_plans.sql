-- +goose Up
-- What a tenant may take of what all share. Null is no limit. Rates and concurrency hold in each process that serves.
create table rowhouse.plans (
    name                     text   not null,
    requests_per_second      integer,
    request_burst            integer,
    -- Of one API key or one session.
    caller_per_second        integer,
    caller_burst             integer,
    -- Requests that are answered at a time. As many more may wait for their turn.
    concurrency              integer,
    -- Of statements that requests run; jobs have limits of their own.
    statement_timeout_ms     integer,
    max_users                bigint,
    max_storage_bytes        bigint,
    -- Jobs that wait for a worker.
    max_jobs                 bigint,
    updated_at               timestamptz not null default now(),
    constraint plans_pkey primary key (name),
    constraint plans_name_check check (name ~ '^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$'),
    constraint plans_requests_check check (requests_per_second between 1 and 1000000 and request_burst between 1 and 10000000),
    constraint plans_request_pair_check check ((requests_per_second is null) = (request_burst is null)),
    constraint plans_caller_check check (caller_per_second between 1 and 1000000 and caller_burst between 1 and 10000000),
    constraint plans_caller_pair_check check ((caller_per_second is null) = (caller_burst is null)),
    constraint plans_concurrency_check check (concurrency between 1 and 100000),
    constraint plans_statement_timeout_check check (statement_timeout_ms between 1 and 86400000),
    constraint plans_max_users_check check (max_users >= 1),
    constraint plans_max_storage_check check (max_storage_bytes >= 0),
    constraint plans_max_jobs_check check (max_jobs >= 1)
);
comment on table rowhouse.plans is 'What the tenants of a plan may take; null is no limit.';

insert into rowhouse.plans (name, requests_per_second, request_burst, caller_per_second, caller_burst, concurrency,
    statement_timeout_ms, max_users, max_storage_bytes, max_jobs) values
    ('free', 20, 40, 10, 20, 4, 3000, 5, 1073741824, 1000),
    ('standard', 200, 400, 100, 200, 8, 8000, 500, 107374182400, 100000),
    ('enterprise', 1000, 2000, 500, 1000, 32, null, null, null, null);
-- Plans that tenants were given before there were any have no limits yet.
insert into rowhouse.plans (name) select distinct plan from rowhouse.tenants where plan not in ('free', 'standard', 'enterprise');
alter table rowhouse.tenants add constraint tenants_plan_fkey foreign key (plan) references rowhouse.plans (name);

-- +goose StatementBegin
create function rowhouse.plans_changed() returns trigger
    language plpgsql set search_path = ''
as $$
begin
    new.updated_at := pg_catalog.now();
    -- The processes that keep the catalog in memory read all plans again.
    perform pg_catalog.pg_notify('rowhouse_tenants', 'plans');
    return new;
end
$$;
-- +goose StatementEnd

create trigger plans_changed before insert or update on rowhouse.plans
    for each row execute function rowhouse.plans_changed();

-- +goose Down
alter table rowhouse.tenants drop constraint tenants_plan_fkey;
drop table rowhouse.plans;
drop function rowhouse.plans_changed();
