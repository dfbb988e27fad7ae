-- grain: one row per result whose rows are loaded
select result_key
from metrics
union
select result_key
from epochs
