-- grain: one row per scored image of one result, in the order of the split
-- $result_key: the result
select
    result_key,
    position,
    dataset_key,
    path,
    image_sha256,
    true_class,
    predicted_class,
    probability,
    true_probability,
    is_correct
from predictions
where result_key = $result_key
order by position
