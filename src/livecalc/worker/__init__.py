"""The process inside a pod: fetch by grants, run the pipeline, store results and log by grants, say how it ended."""
