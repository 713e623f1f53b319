"""`Connected`: the settings and open connections that every function on runs takes."""

from dataclasses import dataclass

from temporalio.client import Client

from orchestration.client.own_worker import OwnWorker
from orchestration.settings import Settings
from orchestration.stores import Stores


@dataclass(frozen=True)
class Connected:
    """A client's connections, which are open as long as the client is open."""

    settings: Settings
    client: Client
    stores: Stores
    worker: OwnWorker
