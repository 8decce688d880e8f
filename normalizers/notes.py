"""What a normalizer has to confess about one payload."""

from normalizers.message import MessageWarning


class Notes:
    """Collects warnings, each code once: the first detail stands."""

    def __init__(self) -> None:
        self._details: dict[str, str] = {}

    def __contains__(self, code: str) -> bool:
        return code in self._details

    def add(self, code: str, detail: str) -> None:
        self._details.setdefault(code, detail)

    def warnings(self) -> tuple[MessageWarning, ...]:
        """In the order in which they were noticed."""
        return tuple(MessageWarning(code, detail) for code, detail in self._details.items())
