"""Reads pictures of pages with Tesseract, which is part of Kreuzberg.

OCR starts no program and writes no page to a disk: a page goes from PDFium's renderer to Tesseract as an uncompressed
picture in memory. The machine must have Tesseract's data for each language, as Debian's packages `tesseract-ocr-…` do.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from perdure.errors import InvalidConfiguration

OCR_VARIABLE = "PERDURE_OCR"
_DOTS_PER_INCH = 200
_POINTS_PER_INCH = 72
_MAX_PIXELS = 16_000_000
_LANGUAGES = re.compile(r"[A-Za-z_]{3,20}(?:\+[A-Za-z_]{3,20}){0,9}")
_FOLDERS = ("/usr/share/tesseract-ocr/*/tessdata", "/usr/share/tessdata", "/usr/local/share/tessdata",
            "/opt/homebrew/share/tessdata")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ocr:
    """The OCR that the configuration asks for."""

    languages: str
    """The languages by Tesseract's names, such as `eng+deu`."""
    data_folder: str
    """Absolute path; holds a file `LANGUAGE.traineddata` for each language."""

    def read(self, page: Any) -> str:
        """Render a page of a PDF and return its text; empty if OCR finds none.

        Args:
            page: page of pypdfium2.

        Raises:
            MemoryError: the picture does not fit into memory.
        """
        import kreuzberg  # noqa: PLC0415 - as below

        os.environ["TESSDATA_PREFIX"] = self.data_folder  # Tesseract reads the folder only from this variable
        prepare()
        width, height = page.get_size()
        scale = min(_DOTS_PER_INCH / _POINTS_PER_INCH, (_MAX_PIXELS / max(1.0, width * height)) ** 0.5)
        bitmap = page.render(scale=scale, grayscale=True)
        try:
            lines = bitmap.to_numpy().reshape(bitmap.height, -1)[:, : bitmap.width]
            picture = b"P5 %d %d 255\n" % (bitmap.width, bitmap.height) + lines.tobytes()
        finally:
            bitmap.close()
        result = kreuzberg.extract_bytes_sync(picture, "image/x-portable-graymap", config=_make_config(self.languages))
        return str(result.content).strip()


@cache
def prepare() -> None:
    """Let Kreuzberg prepare its OCR, which takes a millisecond.

    Kreuzberg's OCR needs a folder for a cache, although nothing is ever stored there. A confined process cannot make
    the folder, so this runs before the confinement.
    """
    import kreuzberg  # noqa: PLC0415 - heavy; the worker imports this module only to check the configuration

    os.environ.setdefault("KREUZBERG_CACHE_DIR", str(Path(tempfile.gettempdir(), f"perdure-ocr-{os.getuid()}")))
    kreuzberg.list_ocr_backends()


def read_ocr_setting(environment: Mapping[str, str]) -> Ocr | None:
    """Return the OCR that `PERDURE_OCR` asks for, or None if it is unset or 0.

    The variable holds languages, or 1 for English.

    Args:
        environment: the environment variables.

    Raises:
        InvalidConfiguration: the variable names no languages, or Tesseract's data for one is not on this machine.
    """
    value = environment.get(OCR_VARIABLE, "").strip()
    if value in ("", "0"):
        return None
    languages = "eng" if value == "1" else value
    if not _LANGUAGES.fullmatch(languages):
        raise InvalidConfiguration(f"{OCR_VARIABLE} must be 0, 1 or languages such as eng+deu, not '{value}'.")
    folders = [Path(named)] if (named := environment.get("TESSDATA_PREFIX")) else _list_usual_folders()
    for folder in folders:
        if all((folder / f"{language}.traineddata").is_file() for language in languages.split("+")):
            return Ocr(languages, str(folder))
    missing = " and ".join(f"{language}.traineddata" for language in languages.split("+"))
    where = f"in {named}, where TESSDATA_PREFIX points" if named else "on this machine"
    raise InvalidConfiguration(
        f"{OCR_VARIABLE} asks for OCR, but there is no {missing} {where}: install Tesseract with these languages "
        "(on Debian tesseract-ocr and tesseract-ocr-LANGUAGE), or set TESSDATA_PREFIX to the folder that has them."
    )


def _list_usual_folders() -> list[Path]:
    return [folder for pattern in _FOLDERS for folder in sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)]


@cache
def _make_config(languages: str) -> Any:
    import kreuzberg  # noqa: PLC0415 - as above

    tesseract = kreuzberg.TesseractConfig(language=languages, use_cache=False, output_format="text")
    ocr = kreuzberg.OcrConfig(backend="tesseract", language=languages, tesseract_config=tesseract)
    return kreuzberg.ExtractionConfig(use_cache=False, force_ocr=True, ocr=ocr)
