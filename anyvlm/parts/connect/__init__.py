"""Connectors: from an encoder's rows to the language model's."""
