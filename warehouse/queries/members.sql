-- grain: one row per member of one result of a composite
-- $result_key: the result
select
    result_key,
    position,
    cell_id,
    member_result_key,
    weight
from members
where result_key = $result_key
order by position
