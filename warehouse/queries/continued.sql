-- grain: one row per result of a list whose training another one of the list continues
-- $result_keys: list of results
with asked as (
    select unnest(cast($result_keys as varchar[])) as result_key
)

select distinct continuations.result_key
from continuations
inner join asked on continuations.result_key = asked.result_key
inner join asked as later on continuations.continued_by = later.result_key
order by continuations.result_key
