-- grain: one row per run and moment at which the machine was looked at
create table system_metrics (
    run_id varchar not null check (run_id <> ''),
    sampled_at timestamptz not null,
    seconds double not null check (seconds >= 0),
    cpu_percent double check (cpu_percent >= 0),
    run_cpu_percent double check (run_cpu_percent >= 0),
    memory_bytes bigint check (memory_bytes >= 0),
    run_memory_bytes bigint check (run_memory_bytes >= 0),
    read_bytes bigint check (read_bytes >= 0),
    written_bytes bigint check (written_bytes >= 0),
    free_disk_bytes bigint check (free_disk_bytes >= 0),
    gpu_percent double check (gpu_percent >= 0),
    gpu_memory_bytes bigint check (gpu_memory_bytes >= 0),
    primary key (run_id, sampled_at)
);

comment on table system_metrics is 'one row per run and moment at which the machine was looked at';
comment on column system_metrics.run_id is 'the run, as in runs';
comment on column system_metrics.sampled_at is 'when (UTC)';
comment on column system_metrics.seconds is 'seconds since the run began';
comment on column system_metrics.cpu_percent is 'how busy all cores of the machine were since the last look, in [0, 100]';
comment on column system_metrics.run_cpu_percent is 'what the run and its workers took of one core since the last look; 200 is two cores';
comment on column system_metrics.memory_bytes is 'memory in use on the machine, in bytes';
comment on column system_metrics.run_memory_bytes is 'memory that the run and its workers hold, in bytes; shared pages count for each';
comment on column system_metrics.read_bytes is 'bytes that the run and its workers have read from disks so far; null: the system does not tell';
comment on column system_metrics.written_bytes is 'bytes that they have written to disks so far; null: the system does not tell';
comment on column system_metrics.free_disk_bytes is 'free bytes of the disk of the home';
comment on column system_metrics.gpu_percent is 'how busy the GPUs were, the mean over all, in [0, 100]; null: none, or NVML is not there';
comment on column system_metrics.gpu_memory_bytes is 'memory in use on all GPUs together, in bytes; null as above';
