"""GLIP (2112.03857): its towers, and the names of tensors in the authors' files.

Source: microsoft/GLIP 9dda955 `modeling/backbone/swint.py`, `fpn.py`, `modeling/language_backbone/bert_model.py`,
`modeling/rpn/vldyhead.py`.
"""

from __future__ import annotations

from anyvlm.keys import Keys, Layout, Mount, rename
from anyvlm.parts.catalog.bert import post_norm
from anyvlm.parts.catalog.towers import BERT_HF, bert_text
from anyvlm.parts.vision.swin import Swin

SWIN_T = Swin(width=96, depths=(2, 2, 6, 2), heads=(3, 6, 12, 24), window=7)
SWIN_L = Swin(width=192, depths=(2, 2, 18, 2), heads=(6, 12, 24, 48), window=12)
BERT_BASE = bert_text(768, 12, 12, vocab=30522)


def _swin() -> Keys:
    table = {"patch_embed.proj.": "stem.", "patch_embed.norm.": "norm_stem."}
    for stage in range(4):
        theirs, ours = f"layers.{stage}.blocks.{{}}.", f"stages.{stage}.blocks.{{}}."
        table |= {
            theirs + "norm1.": ours + "norm1.", theirs + "norm2.": ours + "norm2.", theirs + "attn.qkv.": ours + "attn.qkv.",
            theirs + "attn.proj.": ours + "attn.o.", theirs + "attn.relative_position_bias_table": ours + "attn.near",
            theirs + "mlp.fc1.": ours + "ffn.up.", theirs + "mlp.fc2.": ours + "ffn.down.",
        }  # fmt: skip
        if stage:  # files hold what halves a map at the end of the stage before
            table |= {
                f"layers.{stage - 1}.downsample.norm.": f"stages.{stage}.norm_down.",
                f"layers.{stage - 1}.downsample.reduction.": f"stages.{stage}.down.", f"norm{stage}.": f"norms.{stage - 1}.",
            }  # fmt: skip
    return Keys(rules=rename(table), ignore=("*relative_position_index",))


def _pyramid() -> Keys:
    table = {"top_blocks.p6.": "more.0.", "top_blocks.p7.": "more.1."}
    for n in range(3):
        table |= {f"fpn_inner{n + 2}.": f"inner.{n}.", f"fpn_layer{n + 2}.": f"outer.{n}."}
    return Keys(rules=rename(table))


def _head(depth: int) -> Keys:
    """Every layer has three steps. The heads of boxes are not read yet."""
    fused = {
        "layer_norm_v.": "norm_image.", "layer_norm_l.": "norm_text.", "attn.v_proj.": "q.", "attn.l_proj.": "k.",
        "attn.values_v_proj.": "v_image.", "attn.values_l_proj.": "v_text.", "attn.out_v_proj.": "o_image.",
        "attn.out_l_proj.": "o_text.", "gamma_v": "scale_image", "gamma_l": "scale_text",
    }  # fmt: skip
    maps = {"AttnConv.1.": "weigh.", "offset.": "offset.", "relu.fc.0.": "act.down.", "relu.fc.2.": "act.up."}
    for n, part in enumerate(("above", "same", "below")):
        maps |= {f"DyConv.{n}.conv.": f"{part}.conv.", f"DyConv.{n}.bn.": f"{part}.norm."}
    rules = rename({
        "dot_product_projection_text.": "align.words.", "log_scale": "align.scale", "bias_lang": "align.bias_text",
        "bias0": "align.bias",
    })  # fmt: skip
    for n in range(depth):
        tower = "dyhead_tower."
        rules += rename({f"{tower}{3 * n}.b_attn.{theirs}": f"layers.{n}.fusion.{ours}" for theirs, ours in fused.items()})
        rules += post_norm(f"{tower}{3 * n + 1}.", f"layers.{n}.text.")
        rules += rename({f"{tower}{3 * n + 2}.{theirs}": f"layers.{n}.head.{ours}" for theirs, ours in maps.items()})
    return Keys(rules=rules, ignore=("cls_logits.*", "bbox_pred.*", "centerness.*", "scales.*"))


def glip_layouts(depth: int) -> tuple[Layout, ...]:
    """Of the authors' files, as they are saved in parallel ("module.") and alone."""
    return tuple(_layout(name, prefix, depth) for name, prefix in (("glip", "module."), ("glip-alone", "")))


def _layout(name: str, prefix: str, depth: int) -> Layout:
    mounts = (
        Mount(theirs=f"{prefix}backbone.body.", ours="encoder.", keys=_swin()),
        Mount(theirs=f"{prefix}backbone.fpn.", ours="pyramid.", keys=_pyramid()),
        Mount(theirs=f"{prefix}language_backbone.body.model.", ours="text.", keys=BERT_HF),
        Mount(theirs=f"{prefix}rpn.head.", ours="", keys=_head(depth)),
    )  # fmt: skip
    return Layout(name=name, mounts=mounts, ignore=(f"{prefix}rpn.anchor_generator.*",))
