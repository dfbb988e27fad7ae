-- grain: one row per result and split that was scored (valid or test)
create table metrics (
    result_key varchar not null check (result_key <> ''),
    split varchar not null check (split in ('valid', 'test')),
    cell_id varchar not null check (cell_id <> ''),
    images bigint not null check (images >= 1),
    loss double,
    accuracy double not null check (accuracy >= 0 and accuracy <= 1),
    top_k integer not null check (top_k >= 1),
    top_k_accuracy double not null check (top_k_accuracy >= 0 and top_k_accuracy <= 1),
    precision_macro double not null check (precision_macro >= 0 and precision_macro <= 1),
    recall_macro double not null check (recall_macro >= 0 and recall_macro <= 1),
    f1_macro double not null check (f1_macro >= 0 and f1_macro <= 1),
    precision_weighted double not null check (precision_weighted >= 0 and precision_weighted <= 1),
    recall_weighted double not null check (recall_weighted >= 0 and recall_weighted <= 1),
    f1_weighted double not null check (f1_weighted >= 0 and f1_weighted <= 1),
    calibration_error double check (calibration_error >= 0 and calibration_error <= 1),
    temperature double check (temperature > 0),
    calibrated_error double check (calibrated_error >= 0 and calibrated_error <= 1),
    calibrated_loss double,
    primary key (result_key, split)
);

comment on table metrics is 'one row per result and split that was scored';
comment on column metrics.result_key is 'the result, as in cell_runs';
comment on column metrics.split is 'valid or test';
comment on column metrics.cell_id is 'a cell that has this result; join by result_key to find every one';
comment on column metrics.images is 'scored images';
comment on column metrics.loss is 'mean cross-entropy over the images; null: not finite';
comment on column metrics.accuracy is 'share of the images classified rightly, in [0, 1]';
comment on column metrics.top_k is 'the k of top_k_accuracy: 5, or one less than there are classes';
comment on column metrics.top_k_accuracy is 'share of the images whose class is among the k most probable, in [0, 1]';
comment on column metrics.precision_macro is 'plain mean over classes, in [0, 1]';
comment on column metrics.recall_macro is 'plain mean over classes, in [0, 1]';
comment on column metrics.f1_macro is 'plain mean over classes, in [0, 1]';
comment on column metrics.precision_weighted is 'mean over classes weighted by their images, in [0, 1]';
comment on column metrics.recall_weighted is 'mean over classes weighted by their images, in [0, 1]: the accuracy';
comment on column metrics.f1_weighted is 'mean over classes weighted by their images, in [0, 1]';
comment on column metrics.calibration_error is 'expected calibration error over 15 bins of equal width, in [0, 1]; null: it diverged';
comment on column metrics.temperature is 'what logits are best divided by, fitted on the validation images alone; null: none set aside';
comment on column metrics.calibrated_error is 'calibration error at that temperature, in [0, 1]';
comment on column metrics.calibrated_loss is 'loss at that temperature';
