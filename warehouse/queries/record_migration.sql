-- grain: one row per migration that this file has been through
insert into schema_versions (version, name, applied_at)
values (?, ?, ?)
