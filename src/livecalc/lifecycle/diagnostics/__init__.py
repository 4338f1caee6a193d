"""Reading archives: list, show, verify against the audit record, and build the index anew."""
