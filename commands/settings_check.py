"""Print where the settings of a command differ from those of the worker that is alive."""

from commands.output import say
from orchestration.settings import Settings
from orchestration.worker.announced_settings import differences_from_living_worker


def say_differences(settings: Settings) -> None:
    """Print one sentence for each setting that the living worker of the data folder does not share."""
    for sentence in differences_from_living_worker(settings):
        say(f"Note: {sentence}")
