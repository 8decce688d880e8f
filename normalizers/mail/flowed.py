"""Lines that were broken for small screens, joined again (RFC 3676, `format=flowed`)."""


def unflow(text: str, *, del_sp: bool) -> str:
    """A line ending in a space goes on in the next of the same quote depth; `del_sp`: that space is no part of it."""
    paragraphs: list[str] = []
    open_depth: int | None = None
    pieces: list[str] = []

    def close() -> None:
        nonlocal open_depth
        if open_depth is not None:
            paragraphs.append("".join(pieces))
            pieces.clear()
            open_depth = None

    for raw in text.replace("\r\n", "\n").split("\n"):
        words = raw.lstrip(">")
        depth = len(raw) - len(words)
        words = words.removeprefix(" ")  # stuffed, section 4.4
        if open_depth is not None and (depth != open_depth or words == "-- "):
            close()
        if open_depth is None and depth:
            pieces.append(">" * depth + (" " if words else ""))
        open_depth = depth
        if words.endswith(" ") and words != "-- ":
            pieces.append(words[:-1] if del_sp else words)
        else:
            pieces.append(words)
            close()
    close()
    return "\n".join(paragraphs)
