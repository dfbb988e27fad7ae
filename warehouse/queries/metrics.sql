-- grain: one row per result and split that it was scored on, by key and name
-- $result_keys: list of results
select
    result_key,
    split,
    images,
    loss,
    accuracy,
    top_k,
    top_k_accuracy,
    precision_macro,
    recall_macro,
    f1_macro,
    precision_weighted,
    recall_weighted,
    f1_weighted,
    calibration_error,
    temperature,
    calibrated_error,
    calibrated_loss
from metrics
where result_key in (select unnest(cast($result_keys as varchar[])))
order by result_key, split
