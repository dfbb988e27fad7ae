-- grain: one row per plan name and cell
-- $plan_name: only this plan; null: all of them
select *
from leaderboard
where plan_name = $plan_name or $plan_name is null
order by plan_name, position, cell_id
