-- grain: one row per run and cell
create table cell_runs (
    run_id varchar not null check (run_id <> ''),
    cell_id varchar not null check (cell_id <> ''),
    plan_id varchar not null check (plan_id <> ''),
    plan_name varchar not null check (plan_name <> ''),
    label varchar not null,
    position integer not null check (position >= 0),
    axes_json varchar not null check (json_valid(axes_json)),
    status varchar not null check (status in ('completed', 'failed', 'diverged', 'pending')),
    error varchar,
    result_key varchar check (result_key <> ''),
    train_key varchar check (train_key <> ''),
    epochs_trained integer check (epochs_trained >= 0),
    train_loss double,
    train_accuracy double check (train_accuracy >= 0 and train_accuracy <= 1),
    valid_loss double,
    valid_accuracy double check (valid_accuracy >= 0 and valid_accuracy <= 1),
    test_loss double,
    test_accuracy double check (test_accuracy >= 0 and test_accuracy <= 1),
    seconds_alone double check (seconds_alone >= 0),
    seconds_paid double check (seconds_paid >= 0),
    params_total bigint check (params_total >= 0),
    params_trainable bigint check (params_trainable >= 0),
    model_bytes bigint check (model_bytes >= 0),
    model_path varchar,
    images_per_second double check (images_per_second >= 0),
    finished_at timestamptz,
    primary key (run_id, cell_id),
    check (params_trainable <= params_total),
    check (status <> 'completed' or result_key is not null)
);

comment on table cell_runs is 'one row per run and cell';
comment on column cell_runs.run_id is 'the run, as in runs';
comment on column cell_runs.cell_id is 'the cell, as in cells';
comment on column cell_runs.plan_id is 'the plan that ran, as in plans';
comment on column cell_runs.plan_name is 'its name';
comment on column cell_runs.label is 'what this plan calls the cell';
comment on column cell_runs.position is 'place of the cell in the plan, from 0';
comment on column cell_runs.axes_json is 'the value of each axis of the plan here, as JSON: axis path to label';
comment on column cell_runs.status is 'completed, failed, diverged or pending';
comment on column cell_runs.error is 'why it failed; null: it did not';
comment on column cell_runs.result_key is 'key of the last stage; covers what data and weights really contained';
comment on column cell_runs.train_key is 'key of the state that was trained';
comment on column cell_runs.epochs_trained is 'epochs behind the state that is the result';
comment on column cell_runs.train_loss is 'mean loss over the training images in the last epoch (NaN where it diverged)';
comment on column cell_runs.train_accuracy is 'share of training images classified rightly in the last epoch, in [0, 1]';
comment on column cell_runs.valid_loss is 'mean loss over the validation images; null: none set aside';
comment on column cell_runs.valid_accuracy is 'share of validation images classified rightly, in [0, 1]; null: none set aside';
comment on column cell_runs.test_loss is 'mean loss over the test images';
comment on column cell_runs.test_accuracy is 'share of test images classified rightly, in [0, 1]';
comment on column cell_runs.seconds_alone is 'seconds of the whole chain of this cell, as measured when it was computed';
comment on column cell_runs.seconds_paid is 'seconds that this run spent on the cell';
comment on column cell_runs.params_total is 'parameters of the model';
comment on column cell_runs.params_trainable is 'parameters that were trained';
comment on column cell_runs.model_bytes is 'size of the state dict, in bytes';
comment on column cell_runs.model_path is 'file of the saved model; null: not saved';
comment on column cell_runs.images_per_second is 'images trained on per second';
comment on column cell_runs.finished_at is 'when the cell was done (UTC)';
