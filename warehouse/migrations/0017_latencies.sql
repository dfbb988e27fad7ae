-- grain: one row per measured model (its shape, on one processor) and batch size
create table latencies (
    latency_key varchar not null check (latency_key <> ''),
    batch_size integer not null check (batch_size >= 1),
    arch varchar not null,
    image_size integer not null check (image_size >= 1),
    classes integer not null check (classes >= 1),
    device varchar not null,
    processor varchar not null,
    threads integer not null check (threads >= 1),
    "precision" varchar not null,
    passes integer not null check (passes >= 1),
    median_ms double not null check (median_ms > 0),
    p95_ms double not null check (p95_ms > 0),
    peak_memory_bytes bigint check (peak_memory_bytes >= 0),
    primary key (latency_key, batch_size)
);

comment on table latencies is 'one row per measured model (its shape, on one processor) and batch size';
comment on column latencies.latency_key is 'hash of the shape of the model and of what computes it; weights and training do not count';
comment on column latencies.batch_size is 'images that are answered together';
comment on column latencies.arch is 'architecture, as torchvision names it';
comment on column latencies.image_size is 'edge of the square that the network sees, in pixels';
comment on column latencies.classes is 'classes that it tells apart';
comment on column latencies.device is 'kind of device: cpu, mps or cuda';
comment on column latencies.processor is 'what computed, by name; of a CPU with its cores';
comment on column latencies.threads is 'threads that it was allowed';
comment on column latencies."precision" is 'of the forward pass: float32 or bfloat16';
comment on column latencies.passes is 'forward passes that were timed, one by one';
comment on column latencies.median_ms is 'milliseconds an image, the median over passes; images lie ready, decoding is not part of it';
comment on column latencies.p95_ms is 'milliseconds an image that 95 % of the passes kept below';
comment on column latencies.peak_memory_bytes is 'bytes of the model, the batch and what a forward pass holds at once; null: the device does not tell';

alter table cell_runs add column latency_key varchar;
comment on column cell_runs.latency_key is 'the measurement of its model, as in latencies, if there is one; null: none, or loaded by an older version';
