"""Settings from the environment, one class for each topic; a wrong value is one clear line."""

from livecalc.settings.load import Settings, load

__all__ = ["Settings", "load"]
