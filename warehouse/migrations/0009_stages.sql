-- grain: one row per run and stage
create table stages (
    run_id varchar not null check (run_id <> ''),
    stage_key varchar not null check (stage_key <> ''),
    kind varchar not null check (kind <> ''),
    label varchar,
    is_hit boolean not null,
    seconds double check (seconds >= 0),
    images bigint check (images >= 0),
    epochs bigint check (epochs >= 0),
    bytes bigint check (bytes >= 0),
    peak_memory_bytes bigint check (peak_memory_bytes >= 0),
    error varchar,
    primary key (run_id, stage_key, kind)
);

comment on table stages is 'one row per run and stage';
comment on column stages.run_id is 'the run, as in runs';
comment on column stages.stage_key is 'key of the stage in the store';
comment on column stages.kind is 'what the stage makes: dataset, pixels, features, train, evaluate …';
comment on column stages.label is 'what people call it';
comment on column stages.is_hit is 'it was found in the store; false: this run computed it';
comment on column stages.seconds is 'seconds that this run spent on it';
comment on column stages.images is 'images that went through a network or a decoder in this run';
comment on column stages.epochs is 'epochs trained in this run';
comment on column stages.bytes is 'size in the store, in bytes';
comment on column stages.peak_memory_bytes is 'most memory in use meanwhile, in bytes';
comment on column stages.error is 'why it failed; null: it did not';
