"""OpenFlamingo: the names of what its files hold, which is what was trained, and whole tables of the vocabulary.

Source: mlfoundations/open_flamingo 655f693 `open_flamingo/src/{helpers,flamingo_lm}.py`, `train/train_utils.py`.
"""

from __future__ import annotations

from anyvlm.keys import Keys, Layout, Mount, rename

_P, _B = "layers.{}.", "blocks.{}."

PERCEIVER = Keys(
    rules=rename(
        {
            "latents": "queries",
            "norm.": "norm.",
            _P + "0.norm_media.": _B + "norm_rows.",
            _P + "0.norm_latents.": _B + "norm1.",
            _P + "0.to_q.": _B + "attn.q.",
            _P + "0.to_kv.": _B + "attn.kv.",
            _P + "0.to_out.": _B + "attn.o.",
            _P + "1.0.": _B + "norm2.",
            _P + "1.1.": _B + "ffn.up.",
            _P + "1.3.": _B + "ffn.down.",
        }
    )
)
"""Its resampler, without embeddings of frames or of pictures (`frame_embs`, `media_time_embs`), which no release has."""

_GATED = {
    "attn.norm.": "norm1.",
    "attn.to_q.": "attn.q.",
    "attn.to_kv.": "attn.kv.",
    "attn.to_out.": "attn.o.",
    "attn_gate": "gate1",
    "ff.0.": "norm2.",
    "ff.1.": "ffn.up.",
    "ff.3.": "ffn.down.",
    "ff_gate": "gate2",
}
_VOCABULARY = ("embed.", "head.")


def open_flamingo(lm: Keys, blocks: str, layers: tuple[int, ...]) -> Layout:
    """A released file: resampler, gated layers, vocabulary. `blocks`: what the language model calls its blocks; `layers`:
    those with a gated layer in front, which files number by the block.
    """
    gated = {
        f"{blocks}.{layer}.gated_cross_attn_layer.{theirs}": f"inserts.{n}.{ours}"
        for n, layer in enumerate(layers)
        for theirs, ours in _GATED.items()
    }
    words = tuple(rule for rule in lm.rules if rule.ours[0] in _VOCABULARY)
    # buffers of the wrapped blocks are saved beside what was trained
    buffers = tuple(glob.replace(".attention.", ".decoder_layer.attention.") for glob in lm.ignore)
    return Layout(
        name="open_flamingo",
        mounts=(
            Mount(theirs="perceiver.", ours="connectors.image.", keys=PERCEIVER),
            Mount(theirs="lang_encoder.", ours="lm.", keys=Keys(rules=(*words, *rename(gated)), ties=lm.ties, ignore=buffers)),
        ),
    )


def body(lm: Keys) -> Layout:
    """The language model's own file, of which the vocabulary is not read: the other file has it, with the tokens added."""
    words = tuple(f"{rule.theirs[0]}*" for rule in lm.rules if rule.ours[0] in _VOCABULARY)
    rest = tuple(rule for rule in lm.rules if rule.ours[0] not in _VOCABULARY)
    repeats = tuple(tie.theirs for tie in lm.ties)
    keys = Keys(rules=rest, ignore=(*lm.ignore, *words, *repeats))
    return Layout(name="hf", mounts=(Mount(theirs="", ours="lm.", keys=keys),))
