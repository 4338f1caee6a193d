"""The life of a bucket's namespace, and how it ends: planned, claimed, archived, deleted, verified gone."""
