"""How MoE-LLaVA's files name their tensors: a language model's, LLaVA's, and DeepSpeed's for layers of experts.

Source: PKU-YuanGroup/MoE-LLaVA 6cb5f66 moellava/model; microsoft/DeepSpeed deepspeed/moe.
"""

from __future__ import annotations

from anyvlm.keys import Fuse, Keys, Layout, Mount, Reshape, Rule, Stack, Transpose
from anyvlm.parts.catalog.layouts import PROJECTOR_MLP

_OF = "mlp.deepspeed_moe.experts.deepspeed_experts."
_TURN = Transpose(a=1, b=2)  # a linear layer keeps (out, in), a stack (in, out)


def gated_experts(layer: str, gate: str, up: str, down: str, experts: int = 4) -> tuple[Rule, ...]:
    """Rules for the stacks of `GLUExperts`; `layer`: a block's prefix, then the names within an expert."""
    pairs = tuple(f"{layer}{_OF}{n}.{side}.weight" for n in range(experts) for side in (gate, up))
    return (
        _router(layer),
        Rule(
            theirs=pairs, ours=("blocks.{}.ffn.experts.gate_up",),
            ops=(
                Fuse(shares=(1,) * len(pairs)), Reshape(theirs=(-1, "width"), ours=(experts, -1, "width")), _TURN,
            ),
        ),
        _stack(layer, f"{down}.weight", "down", experts),
    )  # fmt: skip


def plain_experts(layer: str, up: str, down: str, experts: int = 4) -> tuple[Rule, ...]:
    """Rules for the stacks of `MLPExperts`."""
    sides = {"up": up, "down": down}
    weights = (_stack(layer, f"{theirs}.weight", ours, experts) for ours, theirs in sides.items())
    biases = (
        Rule(
            theirs=tuple(f"{layer}{_OF}{n}.{theirs}.bias" for n in range(experts)),
            ours=(f"blocks.{{}}.ffn.experts.{ours}_bias",), ops=(Stack(),),
        )
        for ours, theirs in sides.items()
    )  # fmt: skip
    return (_router(layer), *weights, *biases)


def _router(layer: str) -> Rule:
    return Rule(theirs=(f"{layer}mlp.deepspeed_moe.gate.wg.weight",), ours=("blocks.{}.ffn.router.weight",))


def _stack(layer: str, theirs: str, ours: str, experts: int) -> Rule:
    names = tuple(f"{layer}{_OF}{n}.{theirs}" for n in range(experts))
    return Rule(theirs=names, ours=(f"blocks.{{}}.ffn.experts.{ours}",), ops=(Stack(), _TURN))


def moe_llava(lm: Keys, experts: tuple[Rule, ...], eye: Keys, above: str = "model.") -> Layout:
    """`above`: the prefix of what is not the language model's; files have the vision tower only if it was saved."""
    return Layout(
        name="moe-llava",
        mounts=(
            Mount(theirs=f"{above}image_tower.image_tower.vision_model.", ours="encoders.image.", keys=eye),
            Mount(theirs=f"{above}mm_projector.image_spatial_proj.", ours="connectors.image.", keys=PROJECTOR_MLP),
            Mount(theirs="", ours="lm.", keys=Keys(rules=(*experts, *lm.rules), ties=lm.ties, ignore=lm.ignore)),
        ),
    )
