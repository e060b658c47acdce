"""Systems that paint, in Hugging Face's ``config.json``: Chameleon, Janus.

Sources: transformers ``configuration_{chameleon,janus}.py``, ``image_processing_pil_janus.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from anyvlm import registry
from anyvlm.errors import SpecError, WeightsError
from anyvlm.inputs.letterbox import Letterbox
from anyvlm.inputs.policy import CLIP_MEAN, CLIP_STD, Triple, policy_from_preprocessor
from anyvlm.inputs.template import Template
from anyvlm.inputs.tokenizer import read_json
from anyvlm.parts.catalog.chameleon import chameleon_decoder
from anyvlm.parts.catalog.janus import JANUS_SIGLIP
from anyvlm.parts.code.tables import OwnTables
from anyvlm.parts.code.vqgan import VQGAN
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.ffn import MLP
from anyvlm.parts.norm import HeadNorm
from anyvlm.parts.vision.vit import ViT
from anyvlm.spec import Json
from anyvlm.system import Checkpoint, Meta, System
from anyvlm.weights.config_lm import ACTS, read_lm
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
_SILENT = ("do_convert_rgb", "processor_class", "data_format", "return_tensors", "default_to_square", "device")
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
    lm = read_lm(_CHAMELEON | {name: value for name, value in config.items() if name not in own}, where)
    lm = lm.but(qk_norm=HeadNorm(), norm_last=f.need("swin_norm", bool))
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


_JANUS_EYE: Json = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_channels": 3,
    "image_size": 384,
    "patch_size": 16,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
    "mlp_ratio": 4.0,
    "depth": 2,
}
_JANUS_VQ: Json = {
    "embed_dim": 8,
    "num_embeddings": 16384,
    "projection_dim": 2048,
    "num_hidden_layers": 2,
    "hidden_act": "gelu",
}


def read_janus(path: Path, config: Mapping[str, object], source: Source, template: Template | None) -> System:
    """A JanusForConditionalGeneration."""
    where = str(path / "config.json")
    f = Fields(config, {}, where)
    text, eye, vq = (f.nested(name) for name in ("text_config", "vision_config", "vq_config"))
    lm = read_lm({"model_type": "llama", **text}, f"{where}: text_config")
    if (tied := f.maybe("tie_word_embeddings", bool)) is not None:
        lm = lm.but(tied=tied)
    f.done("image_token_id")
    known, policy = _known("janus-pro-1b"), _letterbox(path)
    assert known.painting is not None
    encoder, connector = _janus_eye(eye, f"{where}: vision_config")
    v = Fields(vq, _JANUS_VQ, f"{where}: vq_config")
    act = v.choice("hidden_act", ACTS)
    code = _vqgan(_JANUS_VQ | dict(vq), f"{where}: vq_config").but(attend=True, unit=True)
    tables = OwnTables(
        coder=code, aligner=Projector(depth=v.need("num_hidden_layers", int), act=act), hidden=v.need("projection_dim", int),
        act=act,
    )  # fmt: skip
    return known.but(
        name=path.name,
        lm=lm,
        streams={"image": known.streams["image"].but(policy=policy, encoder=encoder, connector=connector)},
        painting=known.painting.but(size=(encoder.size, encoder.size), tables=tables),
        template=template or known.template,
        tokenizer=source if (path / "tokenizer.json").is_file() else None,
        checkpoints=(known.checkpoints[0].but(source=source),),
        stages=(),
        meta=Meta(paper="", year=0, license="unknown", family="janus", row=""),
    )


def _janus_eye(data: Mapping[str, object], where: str) -> tuple[ViT, Projector]:
    f = Fields(data, _JANUS_EYE, where)
    f.only("num_channels", 3)
    f.only("attention_bias", True)
    f.only("use_qk_norm", False)
    act, width = f.choice("hidden_act", ACTS), f.need("hidden_size", int)
    eye = JANUS_SIGLIP.but(
        width=width, depth=f.need("num_hidden_layers", int), heads=f.need("num_attention_heads", int),
        size=f.need("image_size", int), patch=f.need("patch_size", int), norm__eps=f.need("layer_norm_eps", float),
        ffn=MLP(hidden=int(width * f.need("mlp_ratio", float)), act=act),
    )  # fmt: skip
    depth = f.need("depth", int)
    f.done("num_image_tokens", "hidden_dropout_rate", "projection_dropout")
    return eye, Projector(depth=depth, act=act)


def _letterbox(path: Path) -> Letterbox:
    """transformers' JanusImageProcessor."""
    where = str(path / "preprocessor_config.json")
    f = Fields(_preprocessor(path), {"size": {"height": 384, "width": 384}, "min_size": 14}, where)
    for name in ("do_resize", "do_rescale", "do_normalize", "do_pad"):
        f.only(name, True)
    f.only("resample", 3)
    size, least = f.nested("size").get("height"), f.need("min_size", int)
    mean, std = _triple(f, "image_mean", CLIP_MEAN), _triple(f, "image_std", CLIP_STD)
    if not isinstance(size, int) or size != f.nested("size").get("width"):
        raise SpecError(f"{where}: size = {f.raw('size')!r}; expected a square.")
    red, green, blue = (int(value * 255) for value in mean)
    f.only("background_color", [red, green, blue])
    f.only("image_processor_type", "JanusImageProcessor", "JanusImageProcessorPil", "JanusImageProcessorFast")
    rescale = f.maybe("rescale_factor", float) or 1 / 255
    f.done(*_SILENT)
    return Letterbox(size=size, fill=(red, green, blue), least=least, nearest=True, rescale=rescale, mean=mean, std=std)


def _triple(f: Fields, name: str, default: Triple) -> Triple:
    if f.raw(name) is None:
        return default
    red, green, blue = f.numbers(name)
    return red, green, blue


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
