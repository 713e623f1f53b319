"""`Bucket`: the requests that the store makes, with obstore's errors converted to Perdure's."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.errors import DependencyUnavailable
from perdure.stores.objects.address import local_folder, open_store

if TYPE_CHECKING:
    from obstore.store import LocalStore, S3Store

PROBE = "perdure-conditional-put"
"""Key of the probe, an object that shows whether the server refuses to overwrite an object."""
_MAX_WHY = 200


@dataclass(frozen=True, slots=True)
class Listed:
    """One object of a listing; `tag` changes with the content."""

    key: str
    tag: str


class Bucket:
    """The objects under one URL.

    Every method raises `DependencyUnavailable` while the server cannot be used.

    Args:
        url: a URL that `check_url` has accepted.
    """

    def __init__(self, url: str) -> None:
        """Remember the URL; open nothing."""
        self.url = url
        self._folder = local_folder(url)
        self._client: S3Store | LocalStore | None = None
        self._is_conditional = False

    async def list_objects(self, folder: str, after: str | None = None) -> list[Listed]:
        """Return the objects of a folder in the order of their keys.

        Args:
            folder: a key without a slash at its end.
            after: only objects with keys after this key are returned.
        """
        import obstore  # noqa: PLC0415

        objects: list[Listed] = []
        with self._translate_errors():
            async for page in obstore.list(self._open(), prefix=folder, offset=after):
                objects += [Listed(item["path"], item["e_tag"] or "") for item in page]
        # obstore lists a folder of a file system in no particular order.
        return sorted(objects, key=lambda item: item.key)

    async def list_folders(self) -> list[str]:
        """Return the names of the folders directly under the URL."""
        import obstore  # noqa: PLC0415

        with self._translate_errors():
            listing = await obstore.list_with_delimiter_async(self._open())
        return [str(folder).rstrip("/") for folder in listing["common_prefixes"]]

    async def get(self, key: str) -> tuple[bytes, str] | None:
        """Return the content and the tag of an object; None if there is none."""
        import obstore  # noqa: PLC0415

        with self._translate_errors():
            try:
                answer = await obstore.get_async(self._open(), key)
            except FileNotFoundError:
                return None
            return bytes(await answer.bytes_async()), answer.meta["e_tag"] or ""

    async def put_new(self, key: str, content: bytes) -> str | None:
        """Store an object that must not exist yet; return its tag, or None if the key is taken.

        Raises:
            DependencyUnavailable: also raised if the server ignores the condition and would overwrite objects.
        """
        if not self._is_conditional:
            await self._check_condition()
        return await self._put_new(key, content)

    async def overwrite(self, key: str, content: bytes) -> None:
        """Store an object, and replace the present object under this key."""
        import obstore  # noqa: PLC0415

        with self._translate_errors():
            await obstore.put_async(self._open(), key, content)
        await self._sync(key)

    async def copy(self, key: str, target: str) -> None:
        """Copy an object."""
        import obstore  # noqa: PLC0415

        with self._translate_errors():
            await obstore.copy_async(self._open(), key, target)
        await self._sync(target)

    async def delete(self, key: str) -> None:
        """Delete an object; a missing object causes no error."""
        import obstore  # noqa: PLC0415

        with self._translate_errors():
            try:
                await obstore.delete_async(self._open(), key)
            except FileNotFoundError:
                return

    async def _put_new(self, key: str, content: bytes) -> str | None:
        import obstore  # noqa: PLC0415
        from obstore.exceptions import AlreadyExistsError  # noqa: PLC0415

        with self._translate_errors():
            try:
                answer = await obstore.put_async(self._open(), key, content, mode="create")
            except AlreadyExistsError:
                return None
        await self._sync(key)
        return answer["e_tag"] or ""

    async def _check_condition(self) -> None:
        """Store the probe twice: a server that ignores `If-None-Match` accepts the second put too."""
        stored = [
            await self._put_new(PROBE, b"Perdure checks that this object cannot be overwritten.") for _ in range(2)
        ]
        if stored[1] is not None:
            raise DependencyUnavailable(
                self.url, "the server ignores If-None-Match, so writers could overwrite each other"
            )
        self._is_conditional = True

    def _open(self) -> "S3Store | LocalStore":
        if self._client is None:
            self._client = open_store(self.url)
        return self._client

    async def _sync(self, key: str) -> None:
        """Make an object of a folder durable.

        The server of a bucket makes an object durable before it answers.
        """
        if self._folder is not None:
            with self._translate_errors():
                await asyncio.to_thread(_sync_file, self._folder / key, self._folder)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        from obstore.exceptions import BaseError  # noqa: PLC0415

        try:
            yield
        except (BaseError, OSError) as error:
            why = " ".join(str(error).split("\n", 1)[0].split())
            raise DependencyUnavailable(self.url, why[:_MAX_WHY]) from error


def _sync_file(path: Path, top: Path) -> None:
    """Sync a file, and every folder above it up to `top`, because these folders may be new."""
    for item in (path, *[folder for folder in path.parents if folder == top or top in folder.parents]):
        descriptor = os.open(item, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
