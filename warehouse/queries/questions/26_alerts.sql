-- question: Which alerts were there, and did they arrive?
-- grain: one row per plan, rule and row of its table, the latest first
-- value: what the rule looked at; epoch: that it is of, where it is not the result's
-- undelivered: of those who are to be told, how many do not know
-- empty: no plan here has alerts, or none of them had a reason
select
    plan_name as plan,
    label,
    rule,
    round(value, 4) as value,
    epoch,
    strftime(min(raised_at), '%Y-%m-%d %H:%M') as raised_at,
    count(*) as channels,
    count(*) filter (where status <> 'delivered') as undelivered
from alerts
group by plan_name, label, cell_id, rule, run_id, result_key, alerts.value, epoch
order by min(alerts.raised_at) desc, plan, label, rule
limit 50
