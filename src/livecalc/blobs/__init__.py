"""Blob storage. `port` says what the platform needs, `names` what may be a name; each folder is an adapter."""
