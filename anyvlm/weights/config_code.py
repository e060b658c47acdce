"""Systems that paint, in Hugging Face's ``config.json``: Chameleon, Janus.

Sources: transformers ``configuration_{chameleon,janus}.py``, ``image_processing_pil_janus.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from anyvlm import registry
from anyvlm.errors import SpecError, WeightsError
from anyvlm.inputs.policy import policy_from_preprocessor
from anyvlm.inputs.template import Template
from anyvlm.inputs.tokenizer import read_json
from anyvlm.parts.catalog.chameleon import chameleon_decoder
from anyvlm.parts.code.vqgan import VQGAN
from anyvlm.parts.norm import HeadNorm
from anyvlm.spec import Json
from anyvlm.system import Checkpoint, Meta, System
from anyvlm.weights.config_lm import read_lm
from anyvlm.weights.fields import Fields
from anyvlm.weights.sources import Directory, Source

_VQ: Json = {
    "embed_dim": 256,
    "num_embeddings": 8192,
    "double_latent": False,
    "latent_channels": 256,
    "resolution": 512,
    "in_channels": 3,
    "base_channels": 128,
    "channel_multiplier": [1, 1, 2, 2, 4],
    "num_res_blocks": 2,
    "attn_type": "vanilla",
}
_CHAMELEON: Json = {"vocab_size": 65536, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5}
_DECODER = "vqgan.ckpt"
"""The file of Meta's download that holds what transformers leaves out; it may stand beside transformers' files."""


def _vqgan(data: Mapping[str, object], where: str) -> VQGAN:
    """What both classes say alike."""
    f = Fields(data, _VQ, where)
    f.only("double_latent", False)
    f.only("in_channels", 3)
    f.only("out_channels", 3)
    f.only("attn_type", "vanilla")
    f.only("attn_resolutions", [])
    levels = tuple(int(level) for level in f.numbers("channel_multiplier"))
    vqgan = VQGAN(
        vocab=f.need("num_embeddings", int),
        width=f.need("embed_dim", int),
        patch=2 ** (len(levels) - 1),
        base=f.need("base_channels", int),
        levels=levels,
        depth=f.need("num_res_blocks", int),
        latent=f.need("latent_channels", int),
    )
    f.done("resolution", "num_patches", "hidden_act", "projection_dim", "image_token_embed_dim", "num_hidden_layers", "depth")
    return vqgan


def _words(names: Mapping[str, object], where: str) -> int | tuple[int, ...]:
    """Ids of the codes: their names are IMGIMG, the digits of a code as letters A to J, Z."""
    ids = {
        int("".join(str(ord(letter) - ord("A")) for letter in token[6:-1])): id
        for token, id in names.items()
        if token.startswith("IMGIMG") and isinstance(id, int)
    }
    words = tuple(id for _, id in sorted(ids.items()))
    if not words or sorted(ids) != list(range(len(ids))):
        raise SpecError(f"{where}: vocabulary_map does not name the codes 0, 1, 2 ... of pictures.")
    return words[0] if words == tuple(range(words[0], words[0] + len(words))) else words


def read_chameleon(path: Path, config: Mapping[str, object], source: Source, template: Template | None) -> System:
    """A ChameleonForConditionalGeneration. It can paint if Meta's vqgan.ckpt lies beside it."""
    where = str(path / "config.json")
    own = ("vq_config", "vocabulary_map", "swin_norm", "model_parallel_size", "image_token_id", "model_type")
    f = Fields(config, {"swin_norm": False}, where)
    names, draws = f.nested("vocabulary_map"), (path / _DECODER).is_file()
    lm = read_lm(_CHAMELEON | {name: value for name, value in config.items() if name not in own}, where)  # type: ignore[operator]
    lm = lm.but(qk_norm=HeadNorm(), norm_after=f.need("swin_norm", bool))
    code = _vqgan(f.nested("vq_config"), f"{where}: vq_config").but(draws=draws)
    known = _known("chameleon-7b")
    policy = policy_from_preprocessor(_preprocessor(path))
    assert known.painting is not None
    stream = known.streams["image"].but(policy=policy, encoder=code, connector__words=_words(names, where))
    decoder = Checkpoint(source=Directory(path=str(path / _DECODER)), layouts=(chameleon_decoder(len(code.levels)),))
    return known.but(
        name=path.name,
        lm=lm,
        streams={"image": stream},
        painting=known.painting.but(size=policy.size),
        template=template or known.template,
        tokenizer=source if (path / "tokenizer.json").is_file() else None,
        checkpoints=(known.checkpoints[0].but(source=source), *((decoder,) if draws else ())),
        stages=(),
        meta=Meta(paper="", year=0, license="unknown", family="chameleon", row=""),
    )


def read_janus(path: Path, config: Mapping[str, object], source: Source, template: Template | None) -> System:
    raise NotImplementedError


def _known(name: str) -> System:
    system = registry.system(name)
    assert isinstance(system, System)
    return system


def _preprocessor(path: Path) -> Mapping[str, object]:
    config = read_json(path / "preprocessor_config.json") or read_json(path / "processor_config.json")
    if not config:
        raise WeightsError(f"{path} has no preprocessor_config.json, which says how pictures become pixels.")
    nested = config.get("image_processor")
    return nested if isinstance(nested, Mapping) else config
