"""Aria's directories: the ``config.json`` of transformers' AriaForConditionalGeneration and of rhymes-ai/Aria's own code.

Fields equal to the default of their class may be missing. Source: transformers ``configuration_{aria,idefics3}.py``,
``image_processing_pil_aria.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from anyvlm.errors import SpecError, WeightsError
from anyvlm.inputs.longest import Longest
from anyvlm.inputs.tokenizer import read_json
from anyvlm.parts.catalog.aria import ARIA_LAYOUTS
from anyvlm.parts.connect.queried import Queried
from anyvlm.parts.ffn import MLP
from anyvlm.parts.language import LanguageModel
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.vision.bucketed import BucketedViT
from anyvlm.spec import Json
from anyvlm.system import Checkpoint, Stream
from anyvlm.weights.config_lm import ACTS, read_lm
from anyvlm.weights.fields import Fields
from anyvlm.weights.sources import Source

_VISION: Json = {
    "hidden_size": 1152, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 16, "num_channels": 3,
    "image_size": 224, "patch_size": 32, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6,
}  # fmt: skip
_PIXELS: Json = {
    "max_image_size": 980, "min_image_size": 336, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "resample": 3,
    "rescale_factor": 1 / 255, "do_rescale": True, "do_normalize": True, "split_image": False,
}  # fmt: skip


def read_aria(path: Path, f: Fields) -> tuple[LanguageModel, Stream]:
    """The decoder and the stream of a directory. Raises SpecError naming a field that cannot be honoured."""
    text, vision = f.nested("text_config"), f.nested("vision_config")
    lm = read_lm({**text, "model_type": "aria_text"}, f"{path}: text_config")
    encoder = _tower(Fields(vision, _VISION, f"{path}: vision_config"))
    f.only("vision_feature_layer", -1)
    table = f.nested("projector_patch_to_query_dict") or {"1225": 128, "4900": 256}
    queries = tuple(sorted((_side(path, patches), count) for patches, count in table.items() if isinstance(count, int)))
    return lm, Stream(
        policy=_policy(path, encoder.patch), encoder=encoder, connector=Queried(queries=queries, heads=encoder.heads)
    )


def aria_checkpoint(source: Source) -> Checkpoint:
    """In any of Aria's layouts."""
    return Checkpoint(source=source, layouts=ARIA_LAYOUTS)


def _tower(f: Fields) -> BucketedViT:
    f.only("num_channels", 3)
    encoder = BucketedViT(
        width=f.need("hidden_size", int),
        depth=f.need("num_hidden_layers", int),
        heads=f.need("num_attention_heads", int),
        patch=f.need("patch_size", int),
        size=f.need("image_size", int),
        ffn=MLP(hidden=f.need("intermediate_size", int), act=f.choice("hidden_act", ACTS)),
        norm=LayerNorm(eps=f.need("layer_norm_eps", float)),
        stem_bias=True,
        post_norm=False,
    )
    f.done()
    return encoder


def _side(path: Path, patches: str) -> int:
    """Patches along a padded square of so many."""
    side = round(int(patches) ** 0.5) if patches.isdecimal() else 0
    if side == 0 or side * side != int(patches):
        raise SpecError(f"{path}: projector_patch_to_query_dict has '{patches}', which is not a square number of patches.")
    return side


def _policy(path: Path, patch: int) -> Longest:
    data = read_json(path / "preprocessor_config.json") or read_json(path / "processor_config.json")
    if not data:
        raise WeightsError(f"{path} has no preprocessor_config.json, which says how pictures become pixels.")
    nested = data.get("image_processor")
    f = Fields(nested if isinstance(nested, Mapping) else data, _PIXELS, f"{path}: preprocessor")
    for name, value in {"split_image": False, "do_rescale": True, "do_normalize": True, "resample": 3}.items():
        f.only(name, value)
    (r, g, b), (red, green, blue) = f.numbers("image_mean"), f.numbers("image_std")
    policy = Longest(
        longest=f.need("max_image_size", int), least=f.need("min_image_size", int), multiple=patch,
        rescale=f.need("rescale_factor", float), mean=(r, g, b), std=(red, green, blue),
    )  # fmt: skip
    f.done("split_resolutions", "image_processor_type", "processor_class", "size_conversion", "do_convert_rgb", "patch_size",
           "image_token", "data_format", "input_data_format", "return_tensors", "do_resize", "size")  # fmt: skip
    return policy
