"""Run a model: the bus with its canaries, the engines, the files a partition leaves, summaries of its outputs."""
