"""What has outlived its retention goes: `observe`, the pure `plan`, the `curator`; `holds` stand against it."""
