-- grain: one row per run, stage or cell as before (where the log of it lies)
alter table runs add column log_path varchar;
alter table stages add column log_path varchar;
alter table cell_runs add column log_path varchar;

comment on column runs.log_path is 'file in the home with what was logged while the run went on; null: loaded by an older version';
comment on column stages.log_path is 'file in the home with what was logged while the run made the stage, and its traceback where it failed; null: found in the store, not tried, or loaded by an older version';
comment on column cell_runs.log_path is 'file in the home with the log of the stage that failed; null: none failed, or loaded by an older version';
