"""Sizes of NFNet (2102.06171). Source: deepmind/deepmind-research d8df415 `nfnets/nfnet.py`."""

from __future__ import annotations

from anyvlm.parts.vision.nfnet import NFNet

NFNET_F0 = NFNet(depths=(1, 2, 6, 3))
NFNET_F6 = NFNET_F0.but(depths=(7, 14, 42, 21))
"""435 M parameters without its classifier."""
