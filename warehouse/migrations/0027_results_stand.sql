-- grain: one row per run and cell (views let a result stand against runs that came to none)
comment on table cell_runs is 'one row per run and cell';
