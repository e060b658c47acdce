"""Codes: pictures as ids and back."""
