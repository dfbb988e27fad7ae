-- question: Which alerts were there, and did they arrive?
-- grain: one row per alert and who is told of it, the latest first
-- alert: a sentence: plan, cell, what was found and the rule
-- state: delivered, or why not: pending (the next run tries again) or given up
-- empty: no plan here has alerts, or none of them had a reason
select
    message as alert,
    channel as receiver,
    case when status = 'delivered' or error is null then status else status || ': ' || error end
        as state
from alerts
order by raised_at desc, plan_name, label, rule, receiver
limit 50
