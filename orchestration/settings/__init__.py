"""The settings: read once from the environment, and passed to the rooms below.

The room imports nothing else of `orchestration`. docs/configuration.md describes every variable.
Start reading at `variables.Variables`, then `settings.Settings`.
"""

from orchestration.settings.settings import Settings
from orchestration.settings.variables import data_dir_from

__all__ = ["Settings", "data_dir_from"]
