"""The settings: read once from the environment where a program is put together, and passed down from there.

The room imports nothing else of `orchestration`. docs/configuration.md describes every variable.
Start reading at `variables.Variables`, then `settings.Settings`.
"""

from orchestration.settings.settings import Settings
from orchestration.settings.variables import data_dir_from

__all__ = ["Settings", "data_dir_from"]
