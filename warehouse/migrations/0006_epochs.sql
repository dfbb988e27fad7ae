-- grain: one row per result and epoch (epoch from 1)
create table epochs (
    result_key varchar not null check (result_key <> ''),
    epoch integer not null check (epoch >= 1),
    cell_id varchar not null check (cell_id <> ''),
    train_loss double,
    train_accuracy double check (train_accuracy >= 0 and train_accuracy <= 1),
    valid_loss double,
    valid_accuracy double check (valid_accuracy >= 0 and valid_accuracy <= 1),
    test_loss double,
    test_accuracy double check (test_accuracy >= 0 and test_accuracy <= 1),
    learning_rate double check (learning_rate >= 0),
    seconds double check (seconds >= 0),
    images bigint check (images >= 0),
    primary key (result_key, epoch)
);

comment on table epochs is 'one row per result and epoch';
comment on column epochs.result_key is 'the result, as in cell_runs';
comment on column epochs.epoch is 'epoch, from 1';
comment on column epochs.cell_id is 'a cell that has this result; join by result_key to find every one';
comment on column epochs.train_loss is 'mean loss over the images of the epoch, while training (NaN where it diverged)';
comment on column epochs.train_accuracy is 'share of the images of the epoch classified rightly, while training, in [0, 1]';
comment on column epochs.valid_loss is 'mean loss over the validation images after the epoch; null: none set aside';
comment on column epochs.valid_accuracy is 'share of validation images classified rightly after the epoch, in [0, 1]; null: none set aside';
comment on column epochs.test_loss is 'mean loss over the test images after the epoch';
comment on column epochs.test_accuracy is 'share of test images classified rightly after the epoch, in [0, 1]';
comment on column epochs.learning_rate is 'learning rate of the last step of the epoch';
comment on column epochs.seconds is 'seconds that the epoch took when it was computed';
comment on column epochs.images is 'images that the epoch trained on';
