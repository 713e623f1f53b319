"""`Bucket`: the requests that the store makes, with obstore's errors converted to Perdure's."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perdure.errors import DependencyUnavailable
from perdure.stores.objects.address import local_folder, open_store
from perdure.stores.objects.durable_files import create_file, overwrite_file, sync_file

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

        client = self._open()
        with self._translate_errors():
            if self._folder is not None:
                await asyncio.to_thread(overwrite_file, self._folder / key, content, self._folder)
            else:
                await obstore.put_async(client, key, content)

    async def copy(self, key: str, target: str) -> None:
        """Copy an object."""
        import obstore  # noqa: PLC0415

        with self._translate_errors():
            await obstore.copy_async(self._open(), key, target)
            if self._folder is not None:
                await asyncio.to_thread(sync_file, self._folder / target, self._folder)

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

        client = self._open()
        with self._translate_errors():
            try:
                if self._folder is not None:
                    await asyncio.to_thread(create_file, self._folder / key, content, self._folder)
                    return (await obstore.head_async(client, key))["e_tag"] or ""
                answer = await obstore.put_async(client, key, content, mode="create")
            except (AlreadyExistsError, FileExistsError):
                return None
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

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        from obstore.exceptions import BaseError  # noqa: PLC0415

        try:
            yield
        except (BaseError, OSError) as error:
            why = " ".join(str(error).split("\n", 1)[0].split())
            raise DependencyUnavailable(self.url, why[:_MAX_WHY]) from error
