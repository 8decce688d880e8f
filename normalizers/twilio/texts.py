"""Text messages: SMS, MMS and WhatsApp."""

import re

from normalizers.message import Attachment, Kind, Message, Proof, Requester, Thread
from normalizers.notes import Notes
from normalizers.twilio.form import TwilioForm

_MOST_MEDIA = 10
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60}")
_SUFFIXES = {
    **{"image/jpeg": ".jpg", "image/png": ".png", "image/gif": ".gif", "image/webp": ".webp"},
    **{"audio/ogg": ".ogg", "audio/mpeg": ".mp3", "audio/amr": ".amr", "audio/mp4": ".m4a"},
    **{"video/mp4": ".mp4", "video/3gpp": ".3gp", "application/pdf": ".pdf", "text/vcard": ".vcf"},
}
_OPT_OUTS = {"STOP": Kind.OPT_OUT, "START": Kind.OPT_OUT, "HELP": Kind.NOTICE}
"""HELP changes no consent, and Twilio has answered it: nothing to opt out of, nobody to reply to."""


def text_message(form: TwilioForm, region: str, notes: Notes) -> Message:
    """One message, or one word that changes a consent. Raises `Malformed` without its id."""
    sid = form.id("MessageSid", "SmsMessageSid", "SmsSid")
    sender = form.address("From", region, notes)
    ours = form.address("To", region, Notes())
    account = form.whatsapp_account()
    senders = tuple(dict.fromkeys(address for address in (sender, account) if address))
    files = _media(form, notes)
    medium = "mms" if files else "sms"
    if "whatsapp" in (form.line("From", 8), form.line("To", 8), *(address.kind for address in senders)):
        medium = "whatsapp"
    # The account of a WhatsApp sender stays when a number is shown, changed or hidden.
    theirs = account or sender
    key = f"{ours.value if ours else form.token('MessagingServiceSid')}/{theirs.value}" if theirs else sid
    parent = form.token("OriginalRepliedMessageSid") or None
    opt_out = form.token("OptOutType")
    return Message(
        kind=_OPT_OUTS.get(opt_out, Kind.MESSAGE),
        medium=medium,
        external_id=sid,
        requester=Requester(addresses=senders, name=form.line("ProfileName", 100) or None),
        proof=Proof.PLATFORM if senders else Proof.ANONYMOUS,
        recipients=(ours,) if ours else (),
        thread=Thread(
            key=f"whatsapp:{key}" if theirs and medium == "whatsapp" else key,
            external_id=sid,
            parent=parent,
            is_reply=parent is not None,
        ),
        subject=opt_out if opt_out in _OPT_OUTS else None,
        text=_words(form),
        attachments=files,
        warnings=notes.warnings(),
    )


def _words(form: TwilioForm) -> str:
    lines = [form.text("Body")]
    if (button := form.line("ButtonText", 200)) and button != lines[0].strip():
        lines.append(f"Button: {button}")
    place = ", ".join(filter(None, (form.line("Label", 200), form.line("Address", 300))))
    if (latitude := form.line("Latitude", 30)) and (longitude := form.line("Longitude", 30)):
        lines.append(f"Location: {latitude}, {longitude}" + (f" ({place})" if place else ""))
    referral = (form.line(f"Referral{part}", 500) for part in ("Headline", "Body", "SourceUrl"))
    if advertised := " · ".join(filter(None, referral)):
        lines.append(f"Came from: {advertised}")
    return "\n".join(filter(None, lines))


def _media(form: TwilioForm, notes: Notes) -> tuple[Attachment, ...]:
    announced = form.count("NumMedia")
    if announced is None:
        announced = sum(f"MediaUrl{n}" in form for n in range(_MOST_MEDIA))
    if announced > _MOST_MEDIA:
        notes.add("media_left_out", f"{announced} files were announced, {_MOST_MEDIA} are listed")
    files = []
    for n in range(min(announced, _MOST_MEDIA)):
        media_type = form.line(f"MediaContentType{n}", 130).lower()
        if _MEDIA_TYPE.fullmatch(media_type) is None:
            media_type = "application/octet-stream"
        url = form.url(f"MediaUrl{n}")
        files.append(
            Attachment(
                name=f"media-{n + 1}{_SUFFIXES.get(media_type, '')}",
                media_type=media_type,
                remote=url,
                omitted_reason=None if url else "no usable address",
            )
        )
    return tuple(files)
