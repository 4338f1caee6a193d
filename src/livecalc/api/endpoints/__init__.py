"""What each endpoint does, one file for each topic: read the call, ask the platform, answer."""
