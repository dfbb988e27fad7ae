-- grain: one row per cell or composite of a run, in the plan's order
-- $run_id: the run
-- config_id: hash of the recipe without its seed, as in leaderboard
with entries as (
    select
        cell_id,
        settings_json
    from cells
    union all
    select
        cell_id,
        settings_json
    from composites
)

select
    cell_runs.cell_id,
    cell_runs.label,
    cell_runs.axes_json,
    cell_runs.status,
    cell_runs.result_key,
    md5(cast(json_merge_patch(entries.settings_json, '{"seed": null}') as varchar)) as config_id
from cell_runs
inner join entries on cell_runs.cell_id = entries.cell_id
where cell_runs.run_id = $run_id
order by cell_runs.position, cell_runs.cell_id
