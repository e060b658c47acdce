"""PaliGemma's code of masks: the names in the authors' file vae-oid.npz, in which weights are those of torch."""

from __future__ import annotations

from anyvlm.keys import Keys, Layout, Mount, rename

MASK_CODE = Keys(
    rules=rename(
        {
            "_vq_vae._embedding": "codes",
            "decoder.0.": "stem.",
            **{f"decoder.{2 + n}.net.{2 * m}.": f"blocks.{n}.layers.{m}." for n in range(2) for m in range(3)},
            **{f"decoder.{4 + 2 * n}.": f"ups.{n}." for n in range(4)},
            "decoder.12.": "head.",
        }
    )
)
MASK_CODE_BV = Layout(name="big_vision", mounts=(Mount(theirs="", ours="", keys=MASK_CODE),))
