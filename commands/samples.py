"""`samples`: write the sample documents to a folder, once or in many copies."""

from pathlib import Path
from typing import Annotated

import typer

from commands.options import AsJson
from commands.output import print_json, say
from commands.sample_documents import write_samples
from orchestration.process_exit import run_main

MAX_COPIES = 999

app = typer.Typer()


@app.command()
def samples(
    *,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new or empty folder.", show_default=False)],
    copies: Annotated[
        int,
        typer.Option(
            "--copies", min=1, max=MAX_COPIES, help="Number of copies of each sample. More copies make a run longer."
        ),
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Write the sample documents to a folder.

    The samples are letters, contracts, minutes, ledgers and reports of a small harbour town, in a dozen formats. With
    --copies, a run over the folder lasts long enough to kill its worker by hand.
    """

    async def main() -> None:
        written = write_samples(folder, copies)
        if as_json:
            print_json({"folder": str(folder.absolute()), "documents": written})
        else:
            say(f"Wrote {written} documents to {folder}.")

    run_main(main)
