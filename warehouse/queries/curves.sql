-- grain: one row per result and epoch (epoch from 1)
-- $result_keys: list of results
select
    result_key,
    epoch,
    train_loss,
    train_accuracy,
    valid_loss,
    valid_accuracy,
    test_loss,
    test_accuracy,
    learning_rate,
    seconds,
    images
from epochs
where result_key in (select unnest(cast($result_keys as varchar[])))
order by list_position(cast($result_keys as varchar[]), result_key), epoch
