-- grain: one row per verification of one of these results, the latest first
-- $result_keys: list of results
select
    result_key,
    checked_at,
    is_equal,
    difference,
    environment_json,
    seconds
from certificates
where result_key in (select unnest(cast($result_keys as varchar[])))
order by checked_at desc, certificate_id
