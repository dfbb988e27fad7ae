-- grain: one row per column of a table that can be loaded, in the order of the table
-- table_name, column_name
-- key_position: place in the primary key, from 1; null: not part of it
with primary_keys as (
    select table_name, constraint_column_names as key_columns
    from duckdb_constraints()
    where database_name = current_database() and constraint_type = 'PRIMARY KEY'
)

select
    columns.table_name,
    columns.column_name,
    list_position(primary_keys.key_columns, columns.column_name) as key_position
from duckdb_columns() as columns
inner join primary_keys on columns.table_name = primary_keys.table_name
where
    columns.database_name = current_database()
    and not columns.internal
    and columns.table_name <> 'schema_versions'
order by columns.table_name, columns.column_index
