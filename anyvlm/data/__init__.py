"""Synthetic pictures with exact truth for training and testing the pocket model (extra `train`)."""
