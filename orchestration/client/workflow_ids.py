"""The rules for workflow ids, which name files, links and rows, and which users type."""

import unicodedata

from perdure.errors import InvalidWorkflowId

MAX_BYTES = 200


def checked_workflow_id(workflow_id: str) -> str:
    """Return the id itself if it is accepted.

    Raises:
        InvalidWorkflowId: the id is empty, longer than 200 bytes, or has control characters or outer spaces.
    """
    if not workflow_id.strip():
        raise InvalidWorkflowId("A workflow id cannot be empty.")
    if workflow_id != workflow_id.strip():
        raise InvalidWorkflowId("A workflow id cannot begin or end with a space.")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in workflow_id):
        raise InvalidWorkflowId("A workflow id cannot hold control characters.")
    if len(workflow_id.encode()) > MAX_BYTES:
        raise InvalidWorkflowId(f"A workflow id cannot be longer than {MAX_BYTES} bytes.")
    return workflow_id
