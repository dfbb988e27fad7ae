"""One thin Prefect task per kind of stage, and what they share: facts, journal, records."""
