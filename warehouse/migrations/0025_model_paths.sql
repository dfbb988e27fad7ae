-- grain: one row per run and cell as before (model_path from the home on, as log_path is)
update cell_runs
set model_path = regexp_replace(model_path, '(?s)^.*/([^/]+/[^/]+/[^/]+)$', '\1');

comment on column cell_runs.model_path is 'file of the saved model in the home; null: not saved';
