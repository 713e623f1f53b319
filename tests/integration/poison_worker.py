"""A real worker whose children run `poisoned_parsing` instead of the parser."""

import os
from functools import partial

from orchestration.embedded.configured import read_settings
from orchestration.process_exit import run_main
from orchestration.program import run as program
from perdure.documents.pool import open_document_pool
from tests.integration import poisoned_parsing


def main() -> None:
    program.open_document_pool = partial(open_document_pool, process=poisoned_parsing.process)  # type: ignore[attr-defined]
    parent = os.getppid()

    async def run() -> None:
        await program.run_worker(read_settings(), parent=parent)

    run_main(run)


if __name__ == "__main__":
    main()
