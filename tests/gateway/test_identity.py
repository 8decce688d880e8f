import uuid

from gateway.identity import ALPHABET, Identity, digest16, identify

PINNED = Identity(
    bytes.fromhex("4e261f904f1d8648ac2ca131ba1dd9ce"),
    "4e261f90-4f1d-8648-ac2c-a131ba1dd9ce",
    "T-QTXT-E5T9",
)


def test_the_same_key_gets_the_same_names():
    assert identify("support:message:<1@a.example>") == identify("support:message:<1@a.example>")
    assert identify("support:message:<1@a.example>") != identify("support:message:<2@a.example>")


def test_names_are_pinned_so_that_a_release_cannot_change_what_customers_were_told():
    assert identify("support:message:<1@a.example>") == PINNED


def test_the_id_is_a_uuid_of_version_8_and_the_mark_its_bytes():
    names = identify("anything")
    parsed = uuid.UUID(names.id)
    assert (parsed.version, parsed.variant, parsed.bytes) == (8, uuid.RFC_4122, names.mark)


def test_references_have_no_letters_that_look_alike():
    assert not set("01OILBSZU") & set(ALPHABET)
    for n in range(2000):
        prefix, first, second = identify(str(n)).reference.split("-")
        assert (prefix, len(first), len(second)) == ("T", 4, 4)
        assert set(first + second) <= set(ALPHABET)


def test_references_rarely_meet():
    assert len({identify(str(n)).reference for n in range(20_000)}) == 20_000


def test_a_lone_surrogate_is_a_key_like_any_other():
    assert len(digest16("\ud800")) == 16
