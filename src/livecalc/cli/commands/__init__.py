"""One module for each top-level command; its `command` is what the root resolves."""
