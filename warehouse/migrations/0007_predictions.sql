-- grain: one row per result and scored image
create table predictions (
    result_key varchar not null check (result_key <> ''),
    position integer not null check (position >= 0),
    cell_id varchar not null check (cell_id <> ''),
    dataset_key varchar not null check (dataset_key <> ''),
    path varchar not null,
    image_sha256 varchar not null,
    true_class varchar not null,
    predicted_class varchar not null,
    -- NaN is greater than every number here: a diverged model says NaN, and that is a finding.
    probability double not null
        check (probability >= 0 and (probability <= 1 or isnan(probability))),
    true_probability double not null
        check (true_probability >= 0 and (true_probability <= 1 or isnan(true_probability))),
    is_correct boolean not null,
    logits float[] not null,
    primary key (result_key, position),
    check (is_correct = (true_class = predicted_class))
);

comment on table predictions is 'one row per result and scored image';
comment on column predictions.result_key is 'the result, as in cell_runs';
comment on column predictions.position is 'place of the image in the split that was scored, from 0';
comment on column predictions.cell_id is 'a cell that has this result; join by result_key to find every one';
comment on column predictions.dataset_key is 'the data set of the image, as in datasets';
comment on column predictions.path is 'path of the image inside the data set';
comment on column predictions.image_sha256 is 'sha256 of the file of the image';
comment on column predictions.true_class is 'class that the data set names';
comment on column predictions.predicted_class is 'class that the model names';
comment on column predictions.probability is 'what the model gives the predicted class, in [0, 1] (NaN where it diverged)';
comment on column predictions.true_probability is 'what the model gives the true class, in [0, 1] (NaN where it diverged)';
comment on column predictions.is_correct is 'the predicted class is the true one';
comment on column predictions.logits is 'output of the model before softmax, one number per class in the order of the classes';
