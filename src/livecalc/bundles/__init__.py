"""Model bundles: pack a folder, verify an archive, open a verified one. Never imports model code."""
