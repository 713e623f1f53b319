"""A user's script that adds two documents to an open run, and then waits to be killed.

The script prints the checkpoint of each document, then the process id of its worker.
"""

import asyncio
import sys

from orchestration.client.orchestrator import PipelineOrchestrator
from workflows.messages import PipelineOptions


async def main(workflow_id: str, first: str, second: str) -> None:
    async with PipelineOrchestrator() as orchestrator:
        await orchestrator.start([], workflow_id=workflow_id, options=PipelineOptions(open=True))
        for document in (first, second):
            checkpoint = await orchestrator.process_document(workflow_id, document)
            print(checkpoint.sequence, checkpoint.processed_documents, flush=True)
        print("worker", orchestrator.worker.pid if orchestrator.worker else None, flush=True)
        await asyncio.sleep(600)


asyncio.run(main(*sys.argv[1:]))
