"""Who is calling. `verifier` is the one way a token becomes a principal; each folder is a source of keys."""
