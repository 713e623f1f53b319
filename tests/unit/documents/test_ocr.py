"""OCR reads the pages that are pictures; without OCR, a document of pictures is refused."""

from functools import partial
from pathlib import Path

import pytest

from perdure.documents.discovery import discover
from perdure.documents.document import ProcessedDocument
from perdure.documents.extraction import extract
from perdure.documents.extraction.ocr import Ocr, read_ocr_setting
from perdure.documents.limits import Limits
from perdure.documents.pool import open_document_pool
from perdure.documents.processing import process_document
from perdure.errors import ImageOnlyDocument, InvalidConfiguration
from tests.unit.documents import made_documents as made

PDF = "application/pdf"


@pytest.fixture
def ocr() -> Ocr:
    """Return OCR for English; skip the test on a machine without the data for English."""
    try:
        setting = read_ocr_setting({"PERDURE_OCR": "eng"})
    except InvalidConfiguration as reason:
        pytest.skip(str(reason))
    assert setting
    return setting


def test_ocr_is_off_by_default() -> None:
    assert read_ocr_setting({}) is None
    assert read_ocr_setting({"PERDURE_OCR": "0"}) is None


def test_missing_ocr_data_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=r"no eng\.traineddata and deu\.traineddata in .*install Tesseract"):
        read_ocr_setting({"PERDURE_OCR": "eng+deu", "TESSDATA_PREFIX": str(tmp_path)})
    (tmp_path / "eng.traineddata").touch()
    setting = read_ocr_setting({"PERDURE_OCR": "1", "TESSDATA_PREFIX": str(tmp_path)})
    assert setting
    assert (setting.languages, setting.data_folder) == ("eng", str(tmp_path))
    for nonsense in ("eng+", "../eng", "en", "eng deu"):
        with pytest.raises(InvalidConfiguration, match="PERDURE_OCR must be"):
            read_ocr_setting({"PERDURE_OCR": nonsense})


def test_only_picture_pages_without_text_are_read_by_ocr() -> None:
    seen = []

    def read_picture(page: object) -> str:
        seen.append(page)
        return "read"

    assert extract(made.make_pdf("Written"), PDF, read_picture).text.strip() == "Written"
    assert not seen
    extracted = extract(made.make_scanned_pdf("One", "", "Three"), PDF, read_picture)
    assert len(seen) == 2
    assert extracted.text == "read\n\n\n\nread"
    assert extracted.properties["ocr_pages"] == 2
    assert "OCR" in extracted.warnings[0]
    with pytest.raises(ImageOnlyDocument, match="OCR found no words"):
        extract(made.make_scanned_pdf("One"), PDF, lambda _: " ")


async def test_scan_is_read_in_the_confined_process(ocr: Ocr, tmp_path: Path) -> None:
    (tmp_path / "scan.pdf").write_bytes(made.make_scanned_pdf("Rent rises in the harbour", "", "Clara Nowak pays"))
    (document,) = discover([str(tmp_path)])
    results: list[ProcessedDocument] = []
    for process in (process_document, partial(process_document, ocr=ocr)):
        pool = open_document_pool(1, Limits(), process)
        try:
            pool.start()
            results.append((await pool.process(document.uri, document.name, document.source)).document)
        except ImageOnlyDocument:
            assert process is process_document
        finally:
            pool.close()
    (read,) = results
    assert "Rent rises in the harbour" in read.text
    assert read.text[read.page_offsets[2] :].startswith("Clara Nowak pays")
    assert read.properties["ocr_pages"] == 2
