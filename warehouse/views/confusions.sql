-- grain: one row per result, true class and predicted class that occur together
-- result_key, true_class, predicted_class: the row
-- images: scored images of the true class that the model took for the predicted class
-- share: of the images of the true class, in (0, 1]
create or replace view confusions as
with pairs as (
    select
        result_key,
        true_class,
        predicted_class,
        count(*) as images
    from predictions
    group by result_key, true_class, predicted_class
)

select
    result_key,
    true_class,
    predicted_class,
    images,
    images / sum(images) over (partition by result_key, true_class) as share
from pairs;

comment on view confusions is 'one row per result, true class and predicted class that occur together';
comment on column confusions.result_key is 'the result, as in cell_runs';
comment on column confusions.true_class is 'class that the data set names';
comment on column confusions.predicted_class is 'class that the model names';
comment on column confusions.images is 'scored images of the true class that the model took for the predicted class';
comment on column confusions.share is 'of the images of the true class, in (0, 1]';
