"""Every failure a user can cause, as one clear sentence: the cause, then what to do."""

from __future__ import annotations


class AnyVLMError(Exception):
    """Base of all errors that are shown to a user as one sentence, without a traceback."""


class InputError(AnyVLMError):
    """The image, the messages or a generation setting cannot be used."""


class SpecError(AnyVLMError):
    """A spec is inconsistent, or its JSON has an unknown field or a value of the wrong type."""


class WeightsError(AnyVLMError):
    """A checkpoint is missing, damaged, or does not fit the system."""


class NetworkError(AnyVLMError):
    """Something had to be fetched and could not be."""
