"""The flat ``config.json`` of haotian-liu/LLaVA and its forks: a language model's config with ``mm_...`` fields.

The vision tower is named by its repository or a path; its weights are in the checkpoint only if it was trained. Such
directories hold no chat template, so the conversation that their code uses for the type is taken.
Source: haotian-liu/LLaVA llava/model/{llava_arch.py,multimodal_projector/builder.py}.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from anyvlm import registry
from anyvlm.dual import DualSystem, Tower
from anyvlm.errors import SpecError
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.inputs.template import Template
from anyvlm.inputs.templates import LLAVA_PHI_3, LLAVA_V1, MAYA, MISTRAL_INSTRUCT, VICUNA_V1, marked
from anyvlm.keys import Keys, Layout
from anyvlm.match import AnySystem
from anyvlm.parts.catalog.layouts import (
    PROJECTOR_LINEAR,
    PROJECTOR_MLP,
    PROJECTOR_NORMED,
    llava_any,
    llava_original,
    vision_hf,
)
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.vision.vit import ViT
from anyvlm.system import Checkpoint, Meta, Stream, System, VisionSystem
from anyvlm.weights.config_lm import KEYS, read_lm
from anyvlm.weights.sources import Directory, Hub, Source

_KINDS: dict[str, tuple[str, Template]] = {
    "llava": ("llama", LLAVA_V1),
    "llava_llama": ("llama", VICUNA_V1),
    "llava_mistral": ("mistral", MISTRAL_INSTRUCT),
    "llava_phi": ("phi3", LLAVA_PHI_3),
    "llava_cohere": ("cohere", MAYA),
}
"""model_type -> that of its language model, and its conversation."""

_PROJECTORS: dict[str, tuple[Projector, Keys]] = {
    "linear": (Projector(depth=1), PROJECTOR_LINEAR),
    "mlp2x_gelu": (Projector(depth=2), PROJECTOR_MLP),
    "mlp2x_gelu_Norm": (Projector(depth=2, norm=LayerNorm(eps=1e-5)), PROJECTOR_NORMED),
}
_TRAINING = frozenset({
    "freeze_mm_mlp_adapter", "image_crop_resolution", "image_grid_pinpoints", "image_split_resolution",
    "mm_hidden_size", "mm_projector_lr", "mm_use_im_patch_token", "mm_vision_tower_lr",
    "tokenizer_model_max_length", "tokenizer_padding_side", "tune_entire_model", "tune_mm_mlp_adapter",
    "tune_vision_tower", "unfreeze_mm_vision_tower", "use_mm_proj", "vision_tower_lr",
})  # fmt: skip
"""Fields of training, or that repeat what the tower says."""


@dataclass(frozen=True)
class _Tower:
    system: VisionSystem
    encoder: ViT
    keys: Keys
    source: Source


def is_original(config: Mapping[str, object]) -> bool:
    """Whether a config is of this form; transformers' own has the same model_type "llava" but nested configs."""
    return config.get("model_type") in _KINDS and "mm_vision_tower" in config


def read_original(path: Path, config: Mapping[str, object], source: Source, template: Template | None) -> System:
    """The system a config describes. Raises SpecError naming the field that cannot be honoured."""
    kind, conversation = _KINDS[str(config["model_type"])]
    ours = {name: value for name, value in config.items() if name.startswith(("mm_", "image_")) or name == "s2"}
    rest = {name: value for name, value in config.items() if name not in ours and name not in _TRAINING}
    tower = _tower(path, str(ours.get("mm_vision_tower")))
    projector = str(ours.get("mm_projector_type", "linear"))
    if projector not in _PROJECTORS:
        raise SpecError(f"{path}: mm_projector_type = '{projector}' is not supported; only {', '.join(_PROJECTORS)}.")
    _refuse(path, ours)
    connector, keys = _PROJECTORS[projector]
    policy, encoder = _policy(tower.system.policy, ours), _select(path, tower.encoder, ours)
    if ours.get("mm_use_im_start_end"):
        conversation = marked(conversation)
    lm = KEYS[kind]
    layouts: tuple[Layout, ...] = (llava_original(lm, tower.keys, keys),)
    return System(
        name=path.name,
        lm=read_lm({**rest, "model_type": kind}, str(path / "config.json")),
        streams={"image": Stream(policy=policy, encoder=encoder, connector=connector)},
        template=template or conversation,
        meta=Meta(paper="", year=0, license="unknown", family="llava", row=""),
        tokenizer=source if any((path / name).is_file() for name in ("tokenizer.json", "tokenizer.model")) else None,
        checkpoints=(
            Checkpoint(source=source, layouts=llava_any(lm, tower.keys) if keys == PROJECTOR_MLP else layouts),
            Checkpoint(source=tower.source, layouts=vision_hf(tower.keys, "encoders.image."), fallback=True),
        ),
    )


def _tower(path: Path, name: str) -> _Tower:
    """A tower beside the checkpoint or one that the registry knows by its repository."""
    from anyvlm.weights.config import read_directory

    beside = path / name
    if beside.is_dir():
        found, source = read_directory(beside), Directory(path=str(beside))
        return _checked(path, found, source)
    for known in (registry.system(each) for each in registry.SYSTEMS):
        for checkpoint in known.checkpoints if isinstance(known, VisionSystem) else ():
            if checkpoint.source == Hub(repo=name):
                return _checked(path, known, checkpoint.source)
    raise SpecError(f"{path}: the vision tower '{name}' (mm_vision_tower) is neither a directory in it nor known here.")


def _checked(path: Path, found: AnySystem, source: Source) -> _Tower:
    if isinstance(found, DualSystem):
        found = _eye(found)
    if not isinstance(found, VisionSystem) or not isinstance(found.encoder, ViT):
        raise SpecError(f"{path}: mm_vision_tower is not a vision tower.")
    return _Tower(found, found.encoder, found.checkpoints[0].layouts[0].mounts[0].keys, source)


def _eye(system: DualSystem) -> AnySystem:
    """The vision tower of a directory that holds a text tower beside it."""
    tower, (checkpoint,) = system.towers["image"], system.checkpoints
    keys = next(mount.keys for mount in checkpoint.layouts[0].mounts if mount.ours == "towers.image.encoder.")
    if not isinstance(tower, Tower) or not isinstance(tower.policy, ImagePolicy) or not isinstance(tower.encoder, ViT):
        return system
    return VisionSystem(
        name=system.name, encoder=tower.encoder.but(keep_cls=False), policy=tower.policy, meta=system.meta,
        checkpoints=(checkpoint.but(layouts=vision_hf(keys)),),
    )  # fmt: skip


def _refuse(path: Path, ours: Mapping[str, object]) -> None:
    """Fields that change the computation in a way that is not built here."""
    only: dict[str, tuple[object, ...]] = {
        "s2": (None, False),
        "mm_patch_merge_type": (None, "flat"),
        "image_aspect_ratio": (None, "square", "pad"),
        "mm_vision_select_feature": (None, "patch", "cls_patch"),
    }
    known = only.keys() | _TRAINING
    known |= {"mm_vision_tower", "mm_projector_type", "mm_vision_select_layer", "mm_use_im_start_end", "image_aspect_ratio"}
    for name, value in ours.items():
        if name not in known or (name in only and value not in only[name]):
            raise SpecError(f"{path}: {name} = {value!r} is not supported.")


def _select(path: Path, encoder: ViT, ours: Mapping[str, object]) -> ViT:
    """One hidden layer; "patch" drops its first row, whatever that is (a class token, or SigLIP's first patch)."""
    layer = ours.get("mm_vision_select_layer", -2)
    if not isinstance(layer, int):
        raise SpecError(f"{path}: mm_vision_select_layer = {layer!r}; expected a number.")
    keep = ours.get("mm_vision_select_feature") == "cls_patch"
    return encoder.but(layers=(layer,), keep_cls=keep and encoder.cls, skip=int(not keep and not encoder.cls))


def _policy(policy: ImagePolicy, ours: Mapping[str, object]) -> ImagePolicy:
    """The tower's own, after padding to a square of the mean colour where the config says so."""
    if ours.get("image_aspect_ratio") != "pad":
        return policy
    red, green, blue = (int(255 * value) for value in policy.mean)
    return policy.but(fit="pad", fill=(red, green, blue))
