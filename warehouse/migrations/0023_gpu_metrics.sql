-- grain: one row per run, moment at which the machine was looked at, and NVIDIA GPU
create table gpu_metrics (
    run_id varchar not null check (run_id <> ''),
    sampled_at timestamptz not null,
    gpu integer not null check (gpu >= 0),
    gpu_name varchar,
    busy_percent double check (busy_percent >= 0),
    memory_bytes bigint check (memory_bytes >= 0),
    temperature_celsius double,
    power_watts double check (power_watts >= 0),
    primary key (run_id, sampled_at, gpu)
);

comment on table gpu_metrics is 'one row per run, moment at which the machine was looked at, and NVIDIA GPU';
comment on column gpu_metrics.run_id is 'the run, as in runs';
comment on column gpu_metrics.sampled_at is 'when (UTC), as in system_metrics';
comment on column gpu_metrics.gpu is 'number of the GPU, as NVML counts them, from 0';
comment on column gpu_metrics.gpu_name is 'its name; null: it does not tell, here and below';
comment on column gpu_metrics.busy_percent is 'share of the time in which it was computing, in [0, 100]';
comment on column gpu_metrics.memory_bytes is 'its memory in use, in bytes';
comment on column gpu_metrics.temperature_celsius is 'its temperature, in degrees Celsius';
comment on column gpu_metrics.power_watts is 'what it draws, in watts';
