"""How much of all mail may be in one place at once, and each mail's share of it."""


class Room:
    """So many bytes for all."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, size: int) -> bool:
        """Whether there was room for so many bytes more; a negative `size` gives back."""
        if size > 0 and size > self._left:
            return False
        self._left -= size
        return True


class Share:
    """What one mail takes of a room."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._held = 0

    def resize(self, size: int) -> bool:
        """Whether it may be so many bytes, all told; if not, it stays as it was."""
        if not self._room.take(size - self._held):
            return False
        self._held = size
        return True

    def release(self) -> None:
        """Nothing is held any more."""
        self.resize(0)
