-- grain: one row per GPU that was looked at while a run went on
-- $run_id: the run
select
    gpu,
    max(gpu_name) as gpu_name,
    avg(busy_percent) as mean_busy_percent,
    max(memory_bytes) as most_memory_bytes,
    max(temperature_celsius) as most_celsius,
    max(power_watts) as most_watts
from gpu_metrics
where run_id = $run_id
group by gpu
order by gpu
