-- question: Where did the time go?
-- grain: one row per plan and kind of stage that its runs computed, the dearest first
-- share: of the seconds of all stages that runs of the plan computed
-- empty: no run here had to compute anything
select
    runs.plan_name as plan,
    stages.kind,
    count(*) as stages,
    round(sum(stages.seconds), 1) as seconds,
    round(sum(stages.seconds) / sum(sum(stages.seconds)) over (partition by runs.plan_name), 3)
        as share,
    sum(stages.epochs) as epochs,
    sum(stages.images) as images
from stages
inner join runs on stages.run_id = runs.run_id
where not stages.is_hit
group by runs.plan_name, stages.kind
order by runs.plan_name, sum(stages.seconds) desc nulls last, stages.kind
