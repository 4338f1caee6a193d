"""Who did what. `log` writes, `chain` stores one record after the other, `check` finds what was changed since."""
