"""Many machines: runs that are submitted to a PostgreSQL database and taken by workers.

DBOS on that database carries only "run this run": who has which, priority, cancellation. What a run
did so far moves as its checkpoints, by the state remote (`workspace.relay`). This package is the only
importer of `dbos` and `psycopg`, and imports both late: no other command should wait for them.
"""
