-- grain: one row per image of these data sets
-- $dataset_keys: list of data sets
select
    dataset_key,
    split,
    class_name,
    image_sha256
from images
where dataset_key in (select unnest(cast($dataset_keys as varchar[])))
order by dataset_key, split, path
