-- grain: one row per cell: its latest completed run in any plan, else the latest in which it
-- diverged, else its latest run of any status
-- $cell_ids: list of cells
select *
from leaderboard
where cell_id in (select unnest(cast($cell_ids as varchar[])))
qualify
    row_number() over (
        partition by cell_id
        order by
            status = 'completed' desc,
            status = 'diverged' desc,
            coalesce(finished_at, run_started_at) desc nulls last,
            run_started_at desc nulls last,
            run_id desc
    ) = 1
order by plan_name, position, cell_id
