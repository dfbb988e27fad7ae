-- grain: one row per result and epoch as before (the key of the state after it)
alter table epochs add column state_key varchar;

comment on column epochs.state_key is 'key of the state after the epoch: the train_key of a cell whose result it is; null: loaded by an older version';
