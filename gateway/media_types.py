"""What a file is by its content, whatever its sender calls it. Pure; nothing is ever unpacked."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

import puremagic

HEAD: Final = 64 * 1024
"""Bytes of a file that are looked at: a container shows within them what it holds, or its name has to say it."""
TEXT_HEAD: Final = 4096
"""Bytes of it that say whether it is text."""

_ZIP = "application/zip"
_OLE = "application/x-ole-storage"
_EXE = "application/vnd.microsoft.portable-executable"
_OFFICE = "application/vnd.openxmlformats-officedocument."
_TEXT = "text/plain"

_BEGINS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x7fELF", "application/x-elf"),
    (b"\xfe\xed\xfa\xce", "application/x-mach-binary"),
    (b"\xfe\xed\xfa\xcf", "application/x-mach-binary"),
    (b"\xce\xfa\xed\xfe", "application/x-mach-binary"),
    (b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "application/x-ms-shortcut"),
    (b"HWP Document File V", "application/x-hwp"),  # before version 5 it was no container
    (b"ID3\x02", "audio/mpeg"),
    (b"ID3\x03", "audio/mpeg"),
    (b"ID3\x04", "audio/mpeg"),
    (b"#!AMR", "audio/amr"),
    (b"{\\rtf", "application/rtf"),
    (b"BEGIN:VCALENDAR", "text/calendar"),
    (b"BEGIN:VCARD", "text/vcard"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"\x1f\x8b\x08", "application/gzip"),
)
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS: Final = (
    (re.compile(rb"hei[cxms]|hev[cxms]|mif1|msf1"), "image/heic"),
    (re.compile(rb"avi[fs]"), "image/avif"),
    (re.compile(rb"M4[AB] "), "audio/mp4"),
    (re.compile(rb"qt  "), "video/quicktime"),
    (re.compile(rb"3g[2p]."), "video/3gpp"),
)
_OGG: Final = ((b"theora", "video/ogg"), (b"vorbis", "audio/ogg"), (b"OpusHead", "audio/ogg"), (b"Speex", "audio/ogg"))
_IN_OLE: Final = (
    (b"HWP Document File", "application/x-hwp"),
    ("HwpSummaryInformation".encode("utf-16-le"), "application/x-hwp"),
    ("WordDocument".encode("utf-16-le"), "application/msword"),
    ("PowerPoint Document".encode("utf-16-le"), "application/vnd.ms-powerpoint"),
    ("Workbook".encode("utf-16-le"), "application/vnd.ms-excel"),
    ("__properties_version1.0".encode("utf-16-le"), "application/vnd.ms-outlook"),
)
_OLE_NAMES: Final = {
    "doc": "application/msword",
    "xls": "application/vnd.ms-excel",
    "ppt": "application/vnd.ms-powerpoint",
    "hwp": "application/x-hwp",
    "msg": "application/vnd.ms-outlook",
    "msi": "application/x-msi",
}
_IN_ZIP: Final = {
    "word": _OFFICE + "wordprocessingml.document",
    "xl": _OFFICE + "spreadsheetml.sheet",
    "ppt": _OFFICE + "presentationml.presentation",
}
_ZIP_NAMES: Final = {"docx": _IN_ZIP["word"], "xlsx": _IN_ZIP["xl"], "pptx": _IN_ZIP["ppt"]}
_TEXT_NAMES: Final = {"csv": "text/csv", "htm": "text/html", "html": "text/html", "json": "application/json"}

_RUNNABLE: Final = {_EXE, "application/x-elf", "application/x-mach-binary", "application/x-ms-shortcut"}
_RUNNABLE_NAMES: Final = frozenset(
    "ax bin bundle com cpl dll drv dylib efi elf exe ko lnk mui o ocx out pyd run scr so sys".split()
)
_DOCUMENT_NAMES: Final = frozenset(
    "7z avi bmp csv doc docm docx eml gif gz heic htm html hwp hwpx ics jpeg jpg json key log m4a m4v md mov "
    "mp3 mp4 msg numbers odp ods odt ogg pages pdf png ppt pptx rar rtf svg tar tgz tif tiff txt vcf wav webm "
    "webp xls xlsm xlsx xml zip".split()
)
_DOCUMENT_TYPES: Final = re.compile(
    r"(?:text|image|audio|video|message|font)/"
    r"|application/(?:pdf|msword|rtf|zip|gzip|json|xml|(?:x-|haansoft|vnd\.hancom\.)hwpx?)\b"
    r"|application/vnd\.(?:ms-|openxmlformats|oasis|apple\.(?:pages|numbers|keynote))"
)

_CONTROLS = re.compile(rb"[\x00-\x07\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_PDF = re.compile(rb"(?:\A|[\r\n\x00])%PDF-\d")
_COMMENT = re.compile(rb"\s*<!--(?:(?!-->).)*-->", re.DOTALL)
_MARKUP = re.compile(rb"\s*<(?:!doctype\s+)?(\?xml|html|head|body|script|svg)[\s>:]", re.IGNORECASE)
_ROOT = re.compile(rb"<(svg|html)[\s>]", re.IGNORECASE)
_MEDIA_TYPE = re.compile(rb"application/[a-z0-9.+-]{1,100}")
_FIELD = re.compile(rb"^(from|received|return-path|message-id|mime-version|date|to|subject):", re.IGNORECASE | re.M)
_MIN_FIELDS = 3
_CERTAIN = 4
"""Bytes that must agree before a signature of the library's list is believed."""


def sniffed_type(head: bytes, name: str) -> str | None:
    """The media type of what begins with `head` (`HEAD` bytes, or all there is); None where nobody can tell.

    `name` decides only between kinds that share a container or are text alike.
    """
    head = head[:HEAD]
    if not head:
        return None
    suffix = _suffix(name)
    return _binary(head, suffix) or _text(head, suffix) or _listed(head)


def poses(sniffed: str | None, name: str, media_type: str) -> bool:
    """Whether a program goes by the name or the declared type of something else."""
    if sniffed not in _RUNNABLE:
        return False
    suffix = _suffix(name)
    if suffix in _RUNNABLE_NAMES:
        return _suffix(PurePosixPath(name).stem) in _DOCUMENT_NAMES
    # A suffix that means nothing, as in libssl.so.3 or tool-1.2, is no disguise.
    return suffix in _DOCUMENT_NAMES or _DOCUMENT_TYPES.match(media_type.lower()) is not None


def _suffix(name: str) -> str:
    return PurePosixPath(name.strip()).suffix[1:].strip().lower()


def _binary(head: bytes, suffix: str) -> str | None:
    for magic, kind in _BEGINS:
        if head.startswith(magic):
            return kind
    if head.startswith(b"MZ") and _CONTROLS.search(head):
        return _EXE
    if head.startswith(b"PK\x03\x04"):
        return _in_zip(head, suffix)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return next((kind for mark, kind in _IN_OLE if mark in head), _OLE_NAMES.get(suffix, _OLE))
    if head.startswith(b"RIFF") and head[8:12] in _RIFF:
        return _RIFF[head[8:12]]
    if head[4:8] == b"ftyp":
        return next((kind for brand, kind in _BRANDS if brand.match(head, 8)), "video/mp4")
    if head.startswith(b"OggS"):
        return next((kind for codec, kind in _OGG if codec in head[:TEXT_HEAD]), "application/ogg")
    if _is_audio_frame(head):
        return "audio/aac" if head[1] & 0b0110 == 0 else "audio/mpeg"
    return "application/pdf" if _PDF.search(head, 0, 1024) else None  # readers look that far for it


def _is_audio_frame(head: bytes) -> bool:
    """An MPEG frame header: 11 bits of sync, and no field with its reserved value."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0 or head[1] & 0x18 == 0x08:
        return False
    if head[1] & 0xF6 == 0xF0:  # ADTS
        return head[2] >> 2 & 0xF < 13
    return head[1] & 0x06 in (0x02, 0x04) and head[2] & 0xF0 not in (0x00, 0xF0) and head[2] & 0x0C != 0x0C


def _in_zip(head: bytes, suffix: str) -> str:
    packed = False
    for number, (name, content) in enumerate(_entries(head)):
        if number == 0 and name == b"mimetype":
            return content.decode() if _MEDIA_TYPE.fullmatch(content) else _ZIP
        packed = packed or name in (b"[Content_Types].xml", b"_rels/.rels")
        folder, _, rest = name.partition(b"/")
        if rest and (kind := _IN_ZIP.get(folder.decode("latin-1"))) and packed:
            return kind
        if name == b"AndroidManifest.xml":
            return "application/vnd.android.package-archive"
        if name == b"META-INF/MANIFEST.MF":
            return "application/java-archive"
    return _ZIP_NAMES.get(suffix, _ZIP) if packed else _ZIP


def _entries(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names of a ZIP archive's files, as far as the head goes, and of those that are not packed the content."""
    at = 0
    while head.startswith(b"PK\x03\x04", at) and len(head) >= at + 30:
        flags, method = (int.from_bytes(head[at + place : at + place + 2], "little") for place in (6, 8))
        size = int.from_bytes(head[at + 18 : at + 22], "little")
        name_size, extra = (int.from_bytes(head[at + place : at + place + 2], "little") for place in (26, 28))
        begin = at + 30 + name_size + extra
        streamed = bool(flags & 0b1000)  # then its size stands behind it
        yield head[at + 30 : at + 30 + name_size], b"" if method or streamed else head[begin : begin + min(size, 255)]
        at = head.find(b"PK\x03\x04", begin) if streamed else begin + size
        if at < 0:
            return


def _text(head: bytes, suffix: str) -> str | None:
    start = head[:TEXT_HEAD]
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        start = start[: len(start) // 2 * 2].decode("utf-16", "replace").encode()
    if _CONTROLS.search(start):
        return None
    start = start.removeprefix(b"\xef\xbb\xbf")
    while comment := _COMMENT.match(start):
        start = start[comment.end() :]
    if found := _MARKUP.match(start):
        return _markup(found[1].lower(), start)
    if _FIELD.match(start) and len({field.lower() for field in _FIELD.findall(start)}) >= _MIN_FIELDS:
        return "message/rfc822"
    return _TEXT_NAMES.get(suffix, _TEXT)


def _markup(word: bytes, start: bytes) -> str:
    if word != b"?xml":
        return "image/svg+xml" if word == b"svg" else "text/html"
    root = _ROOT.search(start)
    if root is None:
        return "application/xml"
    return "image/svg+xml" if root[1].lower() == b"svg" else "application/xhtml+xml"


def _listed(head: bytes) -> str | None:
    try:
        found = puremagic.magic_string(head[:TEXT_HEAD])
    except puremagic.PureError:
        return None
    kinds = (one.mime_type for one in found if len(one.byte_match) >= _CERTAIN)
    return next((kind for kind in kinds if kind not in ("", "application/octet-stream")), None)
