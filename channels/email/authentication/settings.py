"""What an operator can say about the checking of senders."""

from pydantic import BaseModel, ConfigDict


class AuthenticationSettings(BaseModel):
    """How senders are checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)
