-- grain: one row per bin of probability of one result, raw bins first
-- $result_key: the result
select
    result_key,
    is_calibrated,
    lower,
    upper,
    images,
    confidence,
    accuracy
from reliability
where result_key = $result_key
order by is_calibrated, bin
