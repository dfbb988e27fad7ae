-- grain: one row per run and stage (what the views before this version did not have: champions)
comment on column stages.seconds is 'seconds that this run spent on it; 0: it was found in the store';
comment on column stages.peak_memory_bytes is 'most memory that the process had held by the end of it, in bytes';
