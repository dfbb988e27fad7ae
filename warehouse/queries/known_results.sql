-- grain: one row per result whose rows are loaded
select distinct result_key
from metrics
