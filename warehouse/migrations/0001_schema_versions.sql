-- grain: one row per migration that this file has been through
create table schema_versions (
    version integer not null check (version >= 1),
    name varchar not null check (name <> ''),
    applied_at timestamptz not null,
    primary key (version)
);

comment on table schema_versions is 'one row per migration that this file has been through';
comment on column schema_versions.version is 'number of the migration, from 1';
comment on column schema_versions.name is 'file name of the migration';
comment on column schema_versions.applied_at is 'when it was applied (UTC)';
