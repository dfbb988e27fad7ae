-- question: Which models are not beaten at their price?
-- grain: one row per plan, kind of cost and cell on the Pareto front, the cheapest first
select
    plan_name as plan,
    cost_kind,
    round(cost, 2) as cost,
    round(test_accuracy, 4) as test_accuracy,
    label
from pareto
where is_on_front
order by plan_name, cost_kind, pareto.cost, position
