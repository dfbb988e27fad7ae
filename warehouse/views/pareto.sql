-- grain: one row per plan name, completed cell and kind of cost
-- plan_name, cell_id, label: the cell
-- cost_kind: seconds_alone, params_total, model_bytes, or latency_ms where it was measured
-- cost, test_accuracy: what it costs, and what one gets
-- is_on_front: no other cell of the plan costs no more and is no worse, and better in one of both
create or replace view pareto as
with costs as (
    select
        plan_name,
        cell_id,
        label,
        position,
        test_accuracy,
        unnest(['seconds_alone', 'params_total', 'model_bytes', 'latency_ms']) as cost_kind,
        unnest([seconds_alone, params_total::double, model_bytes::double, latency_ms]) as cost
    from leaderboard
    where status = 'completed' and test_accuracy is not null
),

known as (
    select *
    from costs
    where cost is not null
)

select
    plan_name,
    cell_id,
    label,
    position,
    cost_kind,
    cost,
    test_accuracy,
    -- Best at its own cost, and better than everything cheaper.
    test_accuracy = max(test_accuracy) over (partition by plan_name, cost_kind, cost)
    and test_accuracy > coalesce(
        max(test_accuracy) over (
            partition by plan_name, cost_kind
            order by cost
            range between unbounded preceding and current row
            exclude group
        ),
        -1
    ) as is_on_front
from known;

comment on view pareto is 'one row per plan name, completed cell and kind of cost';
comment on column pareto.plan_name is 'name of the plan';
comment on column pareto.cell_id is 'the cell, as in cells';
comment on column pareto.label is 'what this plan calls the cell';
comment on column pareto.position is 'place of the cell in the plan, from 0';
comment on column pareto.cost_kind is 'seconds_alone, params_total, model_bytes, or latency_ms where it was measured';
comment on column pareto.cost is 'the cost in that unit';
comment on column pareto.test_accuracy is 'share of test images classified rightly, in [0, 1]';
comment on column pareto.is_on_front is 'no other cell of the plan is at least as good at no more cost, and better in one of both';
