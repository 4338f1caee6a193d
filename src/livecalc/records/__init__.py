"""What is remembered of jobs, as blobs that are written once: the cluster may forget everything."""
