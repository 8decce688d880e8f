import struct
import zipfile
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.media_types import HEAD, poses, sniffed_type

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
SLIDES = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
EXE = "application/vnd.microsoft.portable-executable"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
PROGRAM = b"MZ\x90\x00\x03\x00\x00\x00\x04" + bytes(60) + b"PE\0\0"
MAIL = b"Received: from a by b\r\nFrom: a@b.example\r\nSubject: hi\r\n\r\nhello\r\n"


def archive(*names: str, streamed: bool = False, **contents: bytes) -> bytes:
    """A ZIP archive of those names, after a `mimetype` if one is given."""
    buffer = BytesIO()
    if streamed:
        buffer.seekable = lambda: False  # type: ignore[method-assign]
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        if "mimetype" in contents:
            file.writestr(zipfile.ZipInfo("mimetype"), contents["mimetype"])
        for name in names:
            file.writestr(name, f"<{name}/>" * 50, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def compound(*streams: str) -> bytes:
    """An OLE2 file whose directory is in its second sector."""
    entries = b"".join(name.encode("utf-16-le").ljust(64, b"\0") + bytes(64) for name in streams)
    return OLE + entries


@pytest.mark.parametrize(
    ("head", "name", "kind"),
    [
        (b"%PDF-1.7\n%\xe2\xe3", "a.pdf", "application/pdf"),
        (b"\x00" * 100 + b"\n%PDF-1.4\n", "scan", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "a", "image/png"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "a.png", "image/jpeg"),
        (b"GIF89a\x01\x00", "a", "image/gif"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "a", "image/webp"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "a", "audio/wav"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "a", "image/heic"),
        (b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1heic", "a", "image/heic"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00", "a", "video/mp4"),
        (b"\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00", "a", "audio/mp4"),
        (b"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00", "a", "video/quicktime"),
        (b"ID3\x03\x00\x00\x00", "a", "audio/mpeg"),
        (b"\xff\xfb\x90\x64" + bytes(32), "a", "audio/mpeg"),
        (b"\xff\xf1\x50\x80\x00\x1f\xfc", "a", "audio/aac"),
        (b"OggS\x00\x02" + bytes(22) + b"\x01\x13OpusHead", "a", "audio/ogg"),
        (b"OggS\x00\x02" + bytes(22) + b"\x01\x2a\x80theora", "a", "video/ogg"),
        (b"#!AMR\n\x3c", "a", "audio/amr"),
        (b"\x7fELF\x02\x01\x01" + bytes(9), "a", "application/x-elf"),
        (PROGRAM, "a.txt", EXE),
        (b"L\x00\x00\x00\x01\x14\x02\x00" + bytes(12), "a.pdf", "application/x-ms-shortcut"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04\x00", "a", "application/x-7z-compressed"),
        (b"Rar!\x1a\x07\x01\x00", "a", "application/vnd.rar"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "a", "application/gzip"),
        (b"II*\x00\x08\x00\x00\x00", "a", "image/tiff"),
        (archive("readme.txt"), "a.docx", "application/zip"),
        (archive("[Content_Types].xml", "_rels/.rels", "word/document.xml"), "a", WORD),
        (archive("[Content_Types].xml", "xl/workbook.xml", streamed=True), "a.zip", SHEET),
        (archive("_rels/.rels", "ppt/presentation.xml", "[Content_Types].xml"), "a.docx", SLIDES),
        (archive("[Content_Types].xml", "_rels/.rels"), "보고서.xlsx", SHEET),
        (archive("word/list.txt", "xl/list.txt"), "a.docx", "application/zip"),
        (archive("Contents/header.xml", mimetype=b"application/hwp+zip"), "a", "application/hwp+zip"),
        (archive("content.xml", mimetype=b"application/epub+zip"), "a", "application/epub+zip"),
        (archive("content.xml", mimetype=b"application/<script>"), "a", "application/zip"),
        (archive("META-INF/MANIFEST.MF", "A.class"), "a", "application/java-archive"),
        (compound("Root Entry", "FileHeader", "DocInfo") + b"HWP Document File\x00", "a.doc", "application/x-hwp"),
        (compound("Root Entry", "\x05HwpSummaryInformation"), "a", "application/x-hwp"),
        (compound("Root Entry", "WordDocument"), "a", "application/msword"),
        (compound("Root Entry", "Workbook"), "a", "application/vnd.ms-excel"),
        (compound("Root Entry", "PowerPoint Document"), "a", "application/vnd.ms-powerpoint"),
        (compound("Root Entry", "__properties_version1.0"), "a", "application/vnd.ms-outlook"),
        (OLE, "계약서.hwp", "application/x-hwp"),
        (OLE, "a.xls", "application/vnd.ms-excel"),
        (OLE, "a.pdf", "application/x-ole-storage"),
        (b"<!DOCTYPE html>\n<html>", "a.txt", "text/html"),
        (b"\xef\xbb\xbf  <!-- hi --> <html lang=ko>", "a", "text/html"),
        ("<html>안녕".encode("utf-16"), "a", "text/html"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", "a.png", "image/svg+xml"),
        (b"<?xml version='1.0'?>\n<!-- x --><svg >", "a", "image/svg+xml"),
        (b"<?xml version='1.0'?><order/>", "a", "application/xml"),
        (MAIL, "a.txt", "message/rfc822"),
        (b"From: us\nand nothing else", "a.txt", "text/plain"),
        (b"BEGIN:VCALENDAR\r\n", "a", "text/calendar"),
        (b"{\\rtf1\\ansi", "a.doc", "application/rtf"),
        ("안녕하세요\n".encode("cp949"), "a.bin", "text/plain"),
        ("안녕하세요\n".encode("utf-16"), "a", "text/plain"),
        (b"MZ is how this note begins", "a.exe", "text/plain"),
        (b"ID3 tags, explained", "a", "text/plain"),
        (b"a,b\r\n1,2\r\n", "a.CSV", "text/csv"),
        (b"\x00\x01\x02\x03", "a.pdf", None),
        (b"", "a.pdf", None),
    ],
)
def test_the_content_says_what_it_is(head, name, kind):
    assert sniffed_type(head, name) == kind


def test_an_archive_within_an_archive_does_not_speak_for_it():
    inner = archive("[Content_Types].xml", "word/document.xml")
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        file.writestr("inner.docx", inner)
    assert sniffed_type(buffer.getvalue(), "outer.zip") == "application/zip"


def test_more_than_the_head_is_not_looked_at():
    assert sniffed_type(b"a" * HEAD + PROGRAM, "a.txt") == sniffed_type(b"a" * HEAD, "a.txt")


BEGINNINGS = [
    b"PK\x03\x04",
    OLE,
    b"%PDF-1.4",
    b"<!--",
    b"<?xml ",
    b"MZ",
    b"RIFF",
    b"\xff\xfe",
    b"OggS",
    b"\xff\xfb",
    b"",
]


@given(st.sampled_from(BEGINNINGS), st.binary(max_size=200), st.text(max_size=20))
@settings(derandomize=True, database=None, max_examples=300, deadline=None)
def test_nothing_makes_it_raise(beginning, rest, name):
    kind = sniffed_type(beginning + rest, name)
    assert kind is None or kind.isascii()


def test_a_chain_of_entries_that_leads_nowhere_ends():
    entry = b"PK\x03\x04" + struct.pack("<5H3L2H", 20, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    assert sniffed_type(entry * 5000, "a") == "application/zip"


@pytest.mark.parametrize(
    ("head", "name", "declared", "poses_as_another"),
    [
        (PROGRAM, "청구서.pdf", "application/pdf", True),
        (PROGRAM, "invoice.pdf.exe", "application/octet-stream", True),
        (PROGRAM, "invoice", "application/pdf", True),
        (PROGRAM, "setup.EXE ", "application/octet-stream", False),
        (PROGRAM, "dump", "application/octet-stream", False),
        (PROGRAM, "photo.heic", "application/octet-stream", True),
        (PROGRAM, "invoice.2026", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", True),
        (PROGRAM, "addin.xll", "application/octet-stream", False),
        (b"\x7fELF\x02\x01\x01" + bytes(9), "libssl.so.3", "application/octet-stream", False),
        (b"\x7fELF\x02\x01\x01" + bytes(9), "tool-1.2", "application/x-executable", False),
        (b"\x7fELF\x02\x01\x01" + bytes(9), "program", "application/x-sharedlib", False),
        (b"\x7fELF\x02\x01\x01" + bytes(9), "photo.jpg", "image/jpeg", True),
        (b"%PDF-1.7", "a.docx", "application/msword", False),
        (b"#!/bin/sh\n", "log.txt", "text/plain", False),
    ],
)
def test_a_program_by_another_name_is_found_out(head, name, declared, poses_as_another):
    assert poses(sniffed_type(head, name), name, declared) is poses_as_another
