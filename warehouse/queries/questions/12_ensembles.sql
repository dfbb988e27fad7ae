-- question: Do ensembles beat their members?
-- grain: one row per plan and ensemble or average over views, the greatest gain first
-- gain: its test accuracy minus that of its best member
-- empty: no plan here has `ensembles` or `tta`
with composed as (
    select
        plan_name,
        label,
        kind,
        result_key,
        test_accuracy
    from leaderboard
    where status = 'completed' and kind <> 'trained'
)

select
    composed.plan_name as plan,
    composed.label,
    composed.kind,
    count(*) as members,
    round(composed.test_accuracy, 4) as test_accuracy,
    max_by(member.label, member.test_accuracy) as best_member,
    round(max(member.test_accuracy), 4) as its_accuracy,
    round(composed.test_accuracy - max(member.test_accuracy), 4) as gain
from composed
inner join members on composed.result_key = members.result_key
inner join leaderboard as member
    on composed.plan_name = member.plan_name and members.cell_id = member.cell_id
group by
    composed.plan_name, composed.label, composed.kind, composed.result_key, composed.test_accuracy
order by composed.plan_name, composed.test_accuracy - max(member.test_accuracy) desc, composed.label
