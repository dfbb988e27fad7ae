-- grain: one row
-- version: the highest migration that the file has been through; 0: none
select coalesce(max(version), 0) as version
from schema_versions
