-- grain: one row
-- tables: how many tables the file has
select count(*) as tables
from duckdb_tables()
where database_name = current_database() and not internal
