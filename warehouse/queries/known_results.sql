-- grain: one row per result whose epochs are loaded
select distinct result_key
from epochs
