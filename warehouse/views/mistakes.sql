-- grain: one row per result and scored image that it classified wrongly
-- result_key, position: the row, as in predictions
-- place: from 1, the surest mistake of the result first
-- path, image_sha256: the image
-- true_class, predicted_class, probability, true_probability: as in predictions
create or replace view mistakes as
select
    result_key,
    position,
    row_number() over (partition by result_key order by probability desc, position) as place,
    path,
    image_sha256,
    true_class,
    predicted_class,
    probability,
    true_probability
from predictions
where not is_correct;

comment on view mistakes is 'one row per result and scored image that it classified wrongly';
comment on column mistakes.result_key is 'the result, as in cell_runs';
comment on column mistakes.position is 'place of the image in the split that was scored, from 0';
comment on column mistakes.place is 'from 1, the surest mistake of the result first';
comment on column mistakes.path is 'path of the image inside the data set';
comment on column mistakes.image_sha256 is 'sha256 of the file of the image';
comment on column mistakes.true_class is 'class that the data set names';
comment on column mistakes.predicted_class is 'class that the model names';
comment on column mistakes.probability is 'what the model gives the predicted class, in [0, 1]';
comment on column mistakes.true_probability is 'what the model gives the true class, in [0, 1]';
