-- grain: one row per alert and who is told of it, the latest first
-- $plan_name: the plan
select
    cell_id,
    label,
    rule,
    message,
    channel,
    status,
    raised_at,
    error
from alerts
where plan_name = $plan_name
order by raised_at desc, label, rule, channel
