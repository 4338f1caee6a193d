"""Mean time to re-compute: run a job again from its bundle alone, and compare."""
