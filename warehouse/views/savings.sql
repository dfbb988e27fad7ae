-- grain: one row per run
-- run_id, plan_name, started_at, status: the run
-- cells: of the plan
-- seconds of cells; what is made of them (composites) would count them twice
-- seconds_alone: what its completed and diverged cells take if each trains alone
-- seconds_paid: what the run spent on all of its cells
-- seconds_saved: the difference
-- stages_found, stages_computed: stages from the store, and made in this run
-- epochs_computed, images_computed: work of this run
create or replace view savings as
with by_cell as (
    select
        run_id,
        sum(seconds_alone) as seconds_alone,
        sum(seconds_paid) as seconds_paid
    from cell_runs
    where cell_id not in (select composites.cell_id from composites)
    group by run_id
),

by_stage as (
    select
        run_id,
        count(*) filter (where is_hit) as stages_found,
        count(*) filter (where not is_hit) as stages_computed,
        cast(sum(epochs) filter (where not is_hit) as bigint) as epochs_computed,
        cast(sum(images) filter (where not is_hit) as bigint) as images_computed
    from stages
    group by run_id
)

select
    runs.run_id,
    runs.plan_name,
    runs.started_at,
    runs.status,
    runs.cells,
    by_cell.seconds_alone,
    by_cell.seconds_paid,
    by_cell.seconds_alone - by_cell.seconds_paid as seconds_saved,
    coalesce(by_stage.stages_found, 0) as stages_found,
    coalesce(by_stage.stages_computed, 0) as stages_computed,
    coalesce(by_stage.epochs_computed, 0) as epochs_computed,
    coalesce(by_stage.images_computed, 0) as images_computed
from runs
left join by_cell on runs.run_id = by_cell.run_id
left join by_stage on runs.run_id = by_stage.run_id;

comment on view savings is 'one row per run';
comment on column savings.run_id is 'the run, as in runs';
comment on column savings.plan_name is 'name of the plan';
comment on column savings.started_at is 'when the run began (UTC)';
comment on column savings.status is 'running, completed, failed, cancelled or crashed';
comment on column savings.cells is 'cells of the plan';
comment on column savings.seconds_alone is 'seconds that its cells take if each trains alone';
comment on column savings.seconds_paid is 'seconds that the run spent on its cells';
comment on column savings.seconds_saved is 'the difference of both';
comment on column savings.stages_found is 'stages that were found in the store';
comment on column savings.stages_computed is 'stages that this run made';
comment on column savings.epochs_computed is 'epochs that this run trained';
comment on column savings.images_computed is 'images that this run put through a network or a decoder';
