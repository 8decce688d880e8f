"""Phone numbers as people type them and networks send them, to E.164."""

import phonenumbers

_LONGEST = 60


def e164(raw: str, region: str | None) -> str | None:
    """The valid number that `raw` is, read as dialled within `region` (ISO 3166); None where it is none.

    Valid, not merely possible: words on a telephone keypad parse as possible numbers.
    """
    if len(raw) > _LONGEST:
        return None
    try:
        number = phonenumbers.parse(raw, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
