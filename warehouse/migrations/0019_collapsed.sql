-- grain: one row per result and class (views tell from them which models have collapsed)
comment on table class_metrics is 'one row per result and class';
