"""All that can be found out about the sender of a mail."""

from typing import TYPE_CHECKING

from channels.email.authentication.settings import AuthenticationSettings
from normalizers.mailed import Authentication

if TYPE_CHECKING:
    from channels.email.arrival import Arrival


class Checks:
    """The checks of one inbox."""

    def __init__(self, settings: AuthenticationSettings) -> None:
        self._settings = settings

    async def examine(self, arrival: "Arrival") -> Authentication | None:
        """Never raises; what cannot be found out in time is a `temperror`."""
        return arrival.authentication
