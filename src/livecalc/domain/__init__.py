"""Values and rules of the platform. Pure: no I/O, no clock; `now` is always an argument."""
