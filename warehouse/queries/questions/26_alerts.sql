-- question: Which alerts were there, and did they arrive?
-- grain: one row per alert and who is told of it, the latest first
-- cell: with its plan, and the epoch where it is not the result's
-- state: delivered, pending (the next run tries again) or given up; error: why it did not arrive
-- empty: no plan here has alerts, or none of them had a reason
select
    rule,
    plan_name || ': ' || label || coalesce(', epoch ' || epoch, '') as cell,
    channel as receiver,
    status as state,
    coalesce(error, '') as error
from alerts
order by raised_at desc, plan_name, label, rule, receiver
limit 50
