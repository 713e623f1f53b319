"""Print how the settings of a command differ from those of the living worker."""

from commands.output import say
from orchestration.settings import Settings
from orchestration.worker.announced_settings import differences_from_living_worker


def say_differences(settings: Settings) -> None:
    """Print one sentence for each setting in which the data folder's living worker differs."""
    for sentence in differences_from_living_worker(settings):
        say(f"Note: {sentence}")
