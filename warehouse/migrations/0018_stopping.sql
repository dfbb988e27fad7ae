-- grain: one row per run and cell (which epoch a stop rule restored)
alter table cell_runs add column best_epoch integer;

comment on column cell_runs.epochs_trained is 'epochs that were trained: those of its curve; a stop rule may end them early';
comment on column cell_runs.best_epoch is 'epoch whose state a stop rule restored as the result; null: the result is the last state';
