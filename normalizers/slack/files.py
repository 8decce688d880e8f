"""Files of a post, all of them still at Slack: what of each can be fetched, and by what reference."""

import re

from normalizers.filenames import clean_filename
from normalizers.message import Attachment
from normalizers.notes import Notes
from normalizers.slack.shapes import ID, Object, optional, string, wrong

_MOST = 100
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,100}/[a-z0-9.+-]{1,100}")
_URL = re.compile(r"https://[!-~]{1,2000}")
_WITHHELD = {
    "tombstone": "deleted",
    "hidden_by_limit": "hidden_by_limit",
    "access_denied": "access_denied",
    "file_not_found": "file_not_found",
}
"""Why, by the `mode` or `file_access` of a file that cannot be fetched."""


def files_of(post: Object, at: str, notes: Notes) -> tuple[Attachment, ...]:
    """The attachments of a post. Raises Malformed where the list is none, or one of its files no object."""
    files = post.get("files")
    if files is None:
        return ()
    if not isinstance(files, list):
        raise wrong(f"{at}/files", "not_a_list", "The files must be an array.")
    if len(files) > _MOST:
        notes.add("files_cut", f"of the files the first {_MOST} were kept")
    return tuple(_file(file, f"{at}/files/{number}", notes) for number, file in enumerate(files[:_MOST]))


def _file(file: object, at: str, notes: Notes) -> Attachment:
    if not isinstance(file, dict):
        raise wrong(at, "not_an_object", "A file must be an object.")
    file_id = optional(file, "id", ID) or "file"
    name = clean_filename(string(file, "name")) or clean_filename(string(file, "title")) or file_id
    media_type = optional(file, "mimetype", _MEDIA_TYPE) or "application/octet-stream"
    if file.get("file_access") == "check_file_info":
        notes.add("file_unseen", "a file shared by Slack Connect tells only its id, here its name: ask files.info")
        return Attachment(name=file_id, media_type=media_type)
    withheld = _WITHHELD.get(string(file, "mode")) or _WITHHELD.get(string(file, "file_access"))
    if withheld:
        return Attachment(name=name, media_type=media_type, omitted_reason=withheld)
    if (url := optional(file, "url_private_download", _URL)) is not None:
        return Attachment(name=name, media_type=media_type, remote=url)
    # Kept elsewhere (a document of Google's) or without a download: nothing to send the app's token to.
    link = optional(file, "url_private", _URL)
    why = "external_link" if link else "no_reference"
    return Attachment(name=name, media_type=media_type, remote=link, omitted_reason=why)
