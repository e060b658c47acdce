"""Random weights in the names of big_vision's vae-oid.npz, the same wherever they are drawn."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def weights(width: int = 24, hidden: int = 128) -> dict[str, npt.NDArray[np.float32]]:
    """All tensors of the decoder, the codes, and two that it does not read. Convolutions as torch keeps them."""
    random = np.random.default_rng(5)
    halves = (hidden, hidden, hidden // 2, hidden // 4, hidden // 8)
    shapes = {"decoder.0": (hidden, width, 1, 1), "decoder.12": (1, hidden // 8, 1, 1)}
    shapes |= {f"decoder.{n}.net.{m}": (hidden, hidden, k, k) for n in (2, 3) for m, k in ((0, 3), (2, 3), (4, 1))}
    shapes |= {f"decoder.{4 + 2 * n}": (halves[n], halves[n + 1], 4, 4) for n in range(4)}
    out = {"_vq_vae._embedding": random.standard_normal((128, width))}
    for name, shape in sorted(shapes.items()):
        turned = name in ("decoder.4", "decoder.6", "decoder.8", "decoder.10")  # (in, out, k, k), 4 of 16 places at a time
        reads = shape[0] * 4 if turned else int(np.prod(shape[1:]))
        out[f"{name}.weight"] = random.standard_normal(shape) * (2 / reads) ** 0.5
        out[f"{name}.bias"] = random.standard_normal(shape[1] if turned else shape[0]) * 0.1
    out["decoder.12.weight"] /= 8  # so that masks lie about -1 and 1
    out |= {"encoder.0.weight": random.standard_normal((8, 1, 4, 4)), "_vq_vae._ema_cluster_size": np.ones(128)}
    return {name: value.astype(np.float32) for name, value in out.items()}


IDS = np.array([[(17 * n + 5 * b) % 128 for n in range(16)] for b in range(2)], np.int32)
