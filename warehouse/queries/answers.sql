-- grain: one row per result and scored image, by result and position
-- $result_keys: list of results
-- result: place of the result in the list, from 0
-- image: number of the image, from 0: the same file with the same class is the same image in
--   every result, wherever it lies; a file that is scored twice counts twice
with scored as (
    select
        list_position(cast($result_keys as varchar[]), result_key) - 1 as result,
        position,
        dataset_key,
        path,
        image_sha256,
        true_class,
        predicted_class,
        probability,
        true_probability,
        is_correct,
        row_number() over (
            partition by result_key, image_sha256, true_class
            order by position
        ) as copy
    from predictions
    where result_key in (select unnest(cast($result_keys as varchar[])))
)

select
    result,
    dense_rank() over (order by image_sha256, true_class, copy) - 1 as image,
    dataset_key,
    path,
    image_sha256,
    true_class,
    predicted_class,
    probability,
    true_probability,
    is_correct
from scored
order by result, position
