-- grain: one row per split that one result was scored on, by name
-- $result_key: the result
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
where result_key = $result_key
order by split
