-- grain: one row per class of one result, by name
-- $result_key: the result
select
    result_key,
    class_name,
    precision,
    recall,
    f1,
    support
from class_metrics
where result_key = $result_key
order by class_name
