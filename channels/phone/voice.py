"""What callers hear: a choice of language where there are several, then a voicemail. TwiML, made once per inbox."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twilio.twiml.voice_response import Gather, VoiceResponse  # type: ignore[import-untyped]

from channels.phone.settings import Language, PhoneSettings
from normalizers.text import clean_line

_TEXTS = Path(__file__).parent / "texts"
_LONGEST = 1000
# Left to itself Twilio tries once more, and only where it could not connect.
_RETRIES = "#rc=3&rp=5xx,ct,rt"

NOTHING = str(VoiceResponse())
"""`<Response/>`: nothing to say and nothing to send; a call ends with it."""


class VoiceLine:
    """The documents of one inbox; `url` is its address as the world sees it."""

    def __init__(self, url: str, settings: PhoneSettings) -> None:
        self._url = f"{url}/voice"
        self._longest = settings.longest_recording
        self.languages = tuple(dict.fromkeys(settings.languages))
        self._texts = {language: _texts(language, settings) for language in self.languages}
        self._messages = {language: self._take_message(language) for language in self.languages}
        self.welcome = self._welcome()

    def language(self, asked: str | None) -> Language | None:
        """The one an address carries, else the only one there is."""
        if len(self.languages) == 1:
            return self.languages[0]
        return next((language for language in self.languages if language == asked), None)

    def chosen(self, digits: str, said: str) -> Language:
        """By the key pressed, else by the word spoken; silence and nonsense get the first language."""
        keys = {str(n): language for n, language in enumerate(self.languages, start=1)}
        if digits in keys:
            return keys[digits]
        heard = said[:200].casefold()
        for language, texts in self._texts.items():
            if any(word in heard for word in texts["spoken"]):
                return language
        return self.languages[0]

    def take_message(self, language: Language | None) -> str:
        """Ask for a message and record it."""
        return self._messages[language or self.languages[0]]

    def thank(self, language: Language | None, reference: str | None) -> str:
        """Say goodbye, with the reference letter by letter where there is one."""
        texts = self._texts[language or self.languages[0]]
        words = texts["thanks_without_reference"]
        if reference:
            words = texts["thanks"].format(reference=", ".join(reference.replace("-", "")))
        document = VoiceResponse()
        _say(document, texts, words)
        document.hangup()
        return str(document)

    def _welcome(self) -> str:
        document = VoiceResponse()
        first = self._texts[self.languages[0]]
        if len(self.languages) > 1:
            # Without actionOnEmptyResult silence would never reach /voice/menu.
            menu = Gather(
                input="dtmf speech",
                num_digits=1,
                timeout=5,
                action=f"{self._url}/menu{_RETRIES}",
                method="POST",
                action_on_empty_result=True,
                language=first["locale"],
                hints=", ".join(word for texts in self._texts.values() for word in texts["spoken"]),
            )
            for texts in self._texts.values():
                _say(menu, texts, texts["greeting"])
            for key, texts in enumerate(self._texts.values(), start=1):
                _say(menu, texts, texts["choose"].format(key=key))
            document.append(menu)
        else:
            _say(document, first, first["greeting"])
        # Should the menu end without an answer all the same, the caller is not left alone.
        self._record(document, self.languages[0])
        return str(document)

    def _take_message(self, language: Language) -> str:
        document = VoiceResponse()
        self._record(document, language)
        return str(document)

    def _record(self, document: Any, language: Language) -> None:
        texts = self._texts[language]
        tail = f"?lang={language}{_RETRIES}"
        # Twilio transcribes American English only.
        transcript = {"transcribe": True, "transcribe_callback": f"{self._url}/transcription{tail}"}
        _say(document, texts, texts["prompt"])
        document.record(
            action=f"{self._url}/recorded{tail}",
            method="POST",
            timeout=5,
            finish_on_key="#",
            max_length=self._longest,
            play_beep=True,
            recording_status_callback=f"{self._url}/recording-status{tail}",
            recording_status_callback_method="POST",
            recording_status_callback_event="completed absent",
            **(transcript if texts["transcribed"] else {}),
        )
        # An empty recording skips its action and goes on here.
        _say(document, texts, texts["silence"])
        document.hangup()


def _texts(language: Language, settings: PhoneSettings) -> Mapping[str, Any]:
    ours = tomllib.loads((_TEXTS / f"{language}.toml").read_text(encoding="utf-8"))
    own = {"greeting": settings.greetings.get(language), "prompt": settings.prompts.get(language)}
    # Control characters are no XML, and ElementTree writes them all the same.
    return {**ours, **{name: clean_line(words, _LONGEST) for name, words in own.items() if words}}


def _say(document: Any, texts: Mapping[str, Any], words: str) -> None:
    document.say(words, language=texts["locale"], voice=texts["voice"])
