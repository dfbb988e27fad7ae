-- grain: one row per plan name and cell or composite: its latest completed run, else the latest in
-- which it diverged, else its latest run of any status
-- plan_name, cell_id: the row
-- kind: trained, or what is made of trained cells: tta, mean, weighted, vote (see composites)
-- label, position, axes_json: what that plan calls the cell, its place there, its axes
-- status, error, log_path: completed, failed, diverged or pending; why it failed, and the log
-- result_key, train_key: keys of the result and of the trained state
-- arch … settings_json: the recipe, as in cells
-- config_id: hash of the recipe without its seed: cells that differ in the seed alone share it
-- overfitting_gap: training accuracy (as measured while training) minus test accuracy
-- is_collapsed: its model names one class for every test image, as in collapsed
-- test_f1_macro … test_calibrated_error: as in metrics
-- train_ valid_ test_ loss and accuracy, seconds, parameters, bytes, model_path: as in cell_runs
-- latency_ms … peak_memory_32_bytes: of its model, as in latencies, where it was measured; of a
-- composite the sum over members and views
-- run_id, run_started_at, finished_at: the run that the row comes from
create or replace view leaderboard as
with entries as (
    select
        *,
        'trained' as kind
    from cells
    union all by name
    select * from composites
),

latest as (
    select
        cell_runs.*,
        runs.started_at as run_started_at
    from cell_runs
    left join runs on cell_runs.run_id = runs.run_id
    qualify
        row_number() over (
            partition by cell_runs.plan_name, cell_runs.cell_id
            order by
                cell_runs.status = 'completed' desc,
                cell_runs.status = 'diverged' desc,
                coalesce(cell_runs.finished_at, runs.started_at) desc nulls last,
                runs.started_at desc nulls last,
                cell_runs.run_id desc
        ) = 1
),

-- What is made of cells answers when all of its members have, in every view.
of_members as (
    select
        latest.run_id,
        latest.cell_id,
        sum(one.median_ms) as latency_ms,
        sum(many.median_ms) as latency_32_ms
    from latest
    inner join members on latest.result_key = members.result_key
    inner join cell_runs
        on latest.run_id = cell_runs.run_id and members.cell_id = cell_runs.cell_id
    left join latencies as one
        on cell_runs.latency_key = one.latency_key and one.batch_size = 1
    left join latencies as many
        on cell_runs.latency_key = many.latency_key and many.batch_size = 32
    group by latest.run_id, latest.cell_id
    having count(one.median_ms) = count(*)
)

select
    latest.plan_name,
    latest.cell_id,
    entries.kind,
    latest.label,
    latest.position,
    latest.axes_json,
    latest.status,
    latest.error,
    latest.log_path,
    latest.result_key,
    latest.train_key,
    entries.arch,
    entries.weights,
    entries."freeze",
    entries.data,
    entries.data_fraction,
    entries.data_count,
    entries.test,
    entries.valid,
    entries.image_size,
    entries.epochs,
    entries.batch_size,
    entries.optimizer,
    entries.learning_rate,
    entries.augment,
    entries.mix,
    entries.seed,
    entries.device,
    entries.views_json,
    entries.settings_json,
    -- A merge patch with null drops the key (RFC 7386).
    md5(cast(json_merge_patch(entries.settings_json, '{"seed": null}') as varchar)) as config_id,
    latest.epochs_trained,
    latest.best_epoch,
    latest.train_loss,
    latest.train_accuracy,
    latest.valid_loss,
    latest.valid_accuracy,
    latest.test_loss,
    latest.test_accuracy,
    latest.train_accuracy - latest.test_accuracy as overfitting_gap,
    collapsed.result_key is not null as is_collapsed,
    metrics.f1_macro as test_f1_macro,
    metrics.top_k as test_top_k,
    metrics.top_k_accuracy as test_top_k_accuracy,
    metrics.calibration_error as test_calibration_error,
    metrics.temperature,
    metrics.calibrated_error as test_calibrated_error,
    latest.seconds_alone,
    latest.seconds_paid,
    latest.params_total,
    latest.params_trainable,
    latest.model_bytes,
    latest.model_path,
    latest.images_per_second,
    coalesce(
        one.median_ms, of_members.latency_ms * json_array_length(entries.views_json)
    ) as latency_ms,
    one.p95_ms as latency_p95_ms,
    coalesce(
        many.median_ms, of_members.latency_32_ms * json_array_length(entries.views_json)
    ) as latency_32_ms,
    many.p95_ms as latency_32_p95_ms,
    one.peak_memory_bytes,
    many.peak_memory_bytes as peak_memory_32_bytes,
    latest.run_id,
    latest.run_started_at,
    latest.finished_at
from latest
inner join entries on latest.cell_id = entries.cell_id
left join collapsed on latest.result_key = collapsed.result_key
left join metrics on latest.result_key = metrics.result_key and metrics.split = 'test'
left join latencies as one
    on latest.latency_key = one.latency_key and one.batch_size = 1
left join latencies as many
    on latest.latency_key = many.latency_key and many.batch_size = 32
left join of_members
    on latest.run_id = of_members.run_id and latest.cell_id = of_members.cell_id;

comment on view leaderboard is 'one row per plan name and cell or composite: its latest completed run, else the latest in which it diverged, else its latest run of any status';
comment on column leaderboard.plan_name is 'name of the plan';
comment on column leaderboard.cell_id is 'the cell, as in cells, or the composite, as in composites';
comment on column leaderboard.kind is 'trained, or made of trained cells: tta, mean, weighted or vote, as in composites';
comment on column leaderboard.label is 'what this plan calls the cell';
comment on column leaderboard.position is 'place of the cell in the plan, from 0';
comment on column leaderboard.axes_json is 'the value of each axis of the plan here, as JSON: axis path to label';
comment on column leaderboard.status is 'completed, failed, diverged or pending';
comment on column leaderboard.error is 'why it failed; null: it did not';
comment on column leaderboard.log_path is 'file in the home with the log of the stage that failed; null: none failed';
comment on column leaderboard.result_key is 'key of the result, to join epochs, predictions and class_metrics by';
comment on column leaderboard.train_key is 'key of the state that was trained';
comment on column leaderboard.arch is 'architecture';
comment on column leaderboard.weights is 'weights that training starts from; none: random';
comment on column leaderboard."freeze" is 'leading blocks that are not trained';
comment on column leaderboard.data is 'data set whose training split trains';
comment on column leaderboard.data_fraction is 'share of the training images that is used; null: all or data_count';
comment on column leaderboard.data_count is 'number of training images that are used; null: all or data_fraction';
comment on column leaderboard.test is 'data set whose test split scores';
comment on column leaderboard.valid is 'share of the training images set aside for validation';
comment on column leaderboard.image_size is 'edge of the square that the network sees, in pixels';
comment on column leaderboard.epochs is 'epochs that the recipe asks for';
comment on column leaderboard.batch_size is 'images per step of the optimiser';
comment on column leaderboard.optimizer is 'kind of optimiser';
comment on column leaderboard.learning_rate is 'learning rate at the first step';
comment on column leaderboard.augment is 'random changes of training images: none, or their kinds; null: loaded by an older version';
comment on column leaderboard.mix is 'how training images are mixed: none, mixup, cutmix or either; null: loaded by an older version';
comment on column leaderboard.seed is 'seed of everything random';
comment on column leaderboard.device is 'device that the recipe asks for';
comment on column leaderboard.views_json is 'views in which a composite sees every image, as JSON; null: trained';
comment on column leaderboard.settings_json is 'the whole recipe as canonical JSON';
comment on column leaderboard.config_id is 'hash of the recipe without its seed';
comment on column leaderboard.epochs_trained is 'epochs that were trained: those of its curve; fewer than epochs where a stop rule ended them';
comment on column leaderboard.best_epoch is 'epoch whose state a stop rule restored as the result; null: the result is the last state';
comment on column leaderboard.train_loss is 'mean loss over the training images in the last epoch';
comment on column leaderboard.train_accuracy is 'share of training images classified rightly, in [0, 1]';
comment on column leaderboard.valid_loss is 'mean loss over the validation images';
comment on column leaderboard.valid_accuracy is 'share of validation images classified rightly, in [0, 1]';
comment on column leaderboard.test_loss is 'mean loss over the test images';
comment on column leaderboard.test_accuracy is 'share of test images classified rightly, in [0, 1]';
comment on column leaderboard.overfitting_gap is 'train_accuracy minus test_accuracy: large where the model has learned its training images by heart';
comment on column leaderboard.is_collapsed is 'its model names one class for every test image, as in collapsed; left out of means over seeds where another seed did not';
comment on column leaderboard.test_f1_macro is 'F1 on the test images, plain mean over classes, in [0, 1]';
comment on column leaderboard.test_top_k is 'the k of test_top_k_accuracy: 5, or one less than there are classes';
comment on column leaderboard.test_top_k_accuracy is 'share of test images whose class is among the k most probable, in [0, 1]';
comment on column leaderboard.test_calibration_error is 'expected calibration error on the test images, in [0, 1]';
comment on column leaderboard.temperature is 'what logits are best divided by, fitted on the validation images; null: none set aside';
comment on column leaderboard.test_calibrated_error is 'calibration error on the test images at that temperature';
comment on column leaderboard.seconds_alone is 'seconds of the whole chain of this cell, as measured when it was computed';
comment on column leaderboard.seconds_paid is 'seconds that the run of this row spent on the cell';
comment on column leaderboard.params_total is 'parameters of the model';
comment on column leaderboard.params_trainable is 'parameters that were trained';
comment on column leaderboard.model_bytes is 'size of the state dict, in bytes';
comment on column leaderboard.model_path is 'file of the saved model in the home; null: not saved';
comment on column leaderboard.images_per_second is 'images trained on per second';
comment on column leaderboard.latency_ms is 'milliseconds for an image alone, the median over passes; a composite: the sum over members and views; null: not measured';
comment on column leaderboard.latency_p95_ms is 'milliseconds for an image alone that 95 % of the passes kept below; null: not measured, or a composite';
comment on column leaderboard.latency_32_ms is 'milliseconds an image where 32 are answered together, otherwise as latency_ms';
comment on column leaderboard.latency_32_p95_ms is 'milliseconds an image where 32 are answered together, otherwise as latency_p95_ms';
comment on column leaderboard.peak_memory_bytes is 'bytes of the model, one image and what a forward pass holds at once; null: not measured, or a composite';
comment on column leaderboard.peak_memory_32_bytes is 'the same for 32 images';
comment on column leaderboard.run_id is 'the run that the row comes from';
comment on column leaderboard.run_started_at is 'when that run began (UTC)';
comment on column leaderboard.finished_at is 'when the cell was done there (UTC)';
