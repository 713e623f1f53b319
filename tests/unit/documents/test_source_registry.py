"""Each kind of source implements the whole protocol and stands in the registry."""

import inspect
import pkgutil
from importlib import import_module
from pathlib import Path

import pytest

from perdure.documents import sources
from perdure.documents.sources.attachment_source import AttachmentSource
from perdure.documents.sources.container import ContainerSource
from perdure.documents.sources.file import FileSource
from perdure.documents.sources.folder import FolderSource
from perdure.documents.sources.mailbox import MailboxSource
from perdure.documents.sources.manifest import ManifestLineSource, ManifestSource
from perdure.documents.sources.object_store import ObjectStoreSource
from perdure.documents.sources.pattern_source import PatternSource
from perdure.documents.sources.registry import CONTAINERS, DOCUMENT_SOURCES, SOURCES, document_source_of, source_of
from perdure.documents.sources.remote import RemoteSource
from perdure.documents.sources.source import Source
from perdure.documents.sources.tar_archive import TarSource
from perdure.documents.sources.web_server import WebServerSource
from perdure.documents.sources.zip_archive import ZipSource

METHODS = {name for name, _ in inspect.getmembers(Source, inspect.isfunction) if not name.startswith("_")}
BASES = {ContainerSource, RemoteSource}
EXAMPLES: dict[type, list[str]] = {
    PatternSource: ["file:///a#include=%2A.pdf", "s3://b/c#ignore=drafts"],
    ManifestSource: ["manifest:/a/list.jsonl", "manifest:file:///a/list.csv"],
    ManifestLineSource: ["manifest+file:///a/list.csv!/3/no-uri"],
    AttachmentSource: ["attachment+file:///a.eml!/2", "attachment+zip+file:///a.zip!/m.eml!/1"],
    WebServerSource: ["https://host/a", "HTTP://host/a"],
    ObjectStoreSource: ["s3://bucket/a", "S3://bucket"],
    ZipSource: ["zip+file:///a.zip!/b"],
    TarSource: ["tar+file:///a.tgz!/b"],
    MailboxSource: ["mbox+file:///a.mbox!/1"],
    FolderSource: ["/", "file:///"],
    FileSource: ["/nowhere/a.txt", "file:///nowhere/a.zip", "", "ftp://host/a"],
}


def _source_classes() -> set[type]:
    """Return every class of the package that implements the protocol, without the base classes."""
    modules = [import_module(f"{sources.__name__}.{info.name}") for info in pkgutil.iter_modules(sources.__path__)]
    classes = {value for module in modules for value in vars(module).values() if inspect.isclass(value)}
    return {kind for kind in classes if set(dir(kind)) >= METHODS} - BASES - {Source}


def test_every_source_class_is_in_the_registry_and_has_an_example() -> None:
    assert {"matches", "check", "discover", "open", "version"} < METHODS
    assert _source_classes() == {type(source) for source in SOURCES} == EXAMPLES.keys()


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: type(source).__name__)
def test_source_overrides_what_its_base_class_leaves_open(source: Source) -> None:
    for base in (ContainerSource, RemoteSource):
        if not isinstance(source, base):
            continue
        for name, function in inspect.getmembers(base, inspect.isfunction):
            if "raise NotImplementedError" in inspect.getsource(function):
                assert getattr(type(source), name) is not function, name


@pytest.mark.parametrize(("kind", "address"), [(kind, text) for kind, texts in EXAMPLES.items() for text in texts])
def test_address_is_handled_by_its_kind_of_source(kind: type, address: str) -> None:
    assert type(source_of(address)) is kind


def test_document_is_never_taken_for_a_pattern_a_manifest_or_a_folder() -> None:
    assert {type(source) for source in SOURCES} - {type(source) for source in DOCUMENT_SOURCES} == {
        PatternSource,
        ManifestSource,
        FolderSource,
    }
    assert type(document_source_of("file:///")) is FileSource
    assert type(document_source_of("file:///a#include=b")) is FileSource


def test_containers_have_schemes_and_suffixes_of_their_own() -> None:
    schemes = [container.scheme for container in CONTAINERS]
    suffixes = [suffix for container in CONTAINERS for suffix in container.suffixes]
    for names in (schemes, suffixes):
        assert all(names)
        assert len(set(names)) == len(names)
    for suffix in suffixes:
        assert [container.claims(Path(f"/a/X{suffix.upper()}")) for container in CONTAINERS].count(True) == 1
