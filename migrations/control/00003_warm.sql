-- +goose Up
-- Tenants made ahead of whoever wants one: complete but for their slug, which a claim gives them. An unfinished one is on an older version,
-- or has a migration_error.
alter table rowhouse.tenants alter column slug drop not null;
alter table rowhouse.tenants drop constraint tenants_state_check;
alter table rowhouse.tenants add constraint tenants_state_check check (
    state in ('provisioning', 'warm', 'ready', 'suspended', 'migrating', 'quarantined', 'archived', 'deleted'));
-- One that is deleted without having been claimed never had a slug.
alter table rowhouse.tenants add constraint tenants_warm_check check (
    case state when 'warm' then slug is null when 'archived' then true when 'deleted' then true else slug is not null end);
create index tenants_warm_idx on rowhouse.tenants (created_at) where state = 'warm';

-- How many creations found one ready, and how many did not, in all processes together. A sequence counts without anybody waiting in line.
create sequence rowhouse.warm_claims;
create sequence rowhouse.warm_misses;

-- +goose Down
drop sequence rowhouse.warm_misses;
drop sequence rowhouse.warm_claims;
drop index rowhouse.tenants_warm_idx;
alter table rowhouse.tenants drop constraint tenants_warm_check;
alter table rowhouse.tenants drop constraint tenants_state_check;
alter table rowhouse.tenants add constraint tenants_state_check check (
    state in ('provisioning', 'ready', 'suspended', 'migrating', 'quarantined', 'archived', 'deleted'));
alter table rowhouse.tenants alter column slug set not null;
