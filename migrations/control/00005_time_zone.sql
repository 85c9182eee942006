-- +goose Up
-- What a tenant's days and hours go by: a name of the IANA database, which is the programs', not PostgreSQL's. Schedules follow it.
alter table rowhouse.tenants add column time_zone text not null default 'UTC';
alter table rowhouse.tenants add constraint tenants_time_zone_check check (char_length(time_zone) between 1 and 64);

-- +goose Down
alter table rowhouse.tenants drop constraint tenants_time_zone_check;
alter table rowhouse.tenants drop column time_zone;
