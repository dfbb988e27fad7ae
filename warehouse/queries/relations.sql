-- grain: one row per column of a table or view, tables first, each in its order
-- name, comment: of the table or view
-- column_name, column_comment: of the column
with relations as (
    select
        table_name as name,
        comment,
        1 as place
    from duckdb_tables()
    where database_name = current_database() and not internal
    union all
    select
        view_name as name,
        comment,
        2 as place
    from duckdb_views()
    where database_name = current_database() and not internal
)

select
    relations.name,
    relations.comment,
    columns.column_name,
    columns.comment as column_comment
from relations
inner join duckdb_columns() as columns
    on relations.name = columns.table_name and columns.database_name = current_database()
order by relations.place, relations.name, columns.column_index
