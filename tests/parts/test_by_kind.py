"""Weights by kind: every row is read by its own copy, and by no other; text pays nothing for the rest."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anyvlm.errors import SpecError
from anyvlm.parts.by_kind import ByKind, Copies, through
from anyvlm.parts.ffn import GLU, MLP
from anyvlm.parts.lm import Decoder
from anyvlm.parts.norm import RMSNorm
from anyvlm.seq import Kind, Seq, blocks, causal

KINDS = (Kind.IMAGE, Kind.AUDIO)
PLAIN = Decoder(vocab=16, width=16, depth=2, heads=2, kv_heads=1, ffn=GLU(hidden=24), context=64, qk_norm=RMSNorm())
SPEC = PLAIN.but(by_kind=ByKind(of=("norms", "qkv", "qk_norms", "o", "ffn"), kinds=KINDS))
kinds = st.lists(st.lists(st.sampled_from([Kind.TEXT, *KINDS, Kind.REGION]), min_size=5, max_size=5), min_size=1, max_size=3)


def layer() -> Copies:
    module = Copies(torch.nn.Linear(4, 6), KINDS)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    return module


@given(kinds=kinds)
@torch.no_grad()
def test_every_row_is_read_by_its_own_copy(kinds: list[list[int]]) -> None:
    """A kind without a copy is read as text is."""
    module, kind_BT = layer(), torch.tensor(kinds)
    x_BTD = torch.randn(*kind_BT.shape, 4)
    copies = {Kind.IMAGE: module["image"], Kind.AUDIO: module["audio"]}
    rows = zip(kind_BT.flatten().tolist(), x_BTD.flatten(0, 1), strict=True)
    one_by_one = [copies.get(Kind(kind), module["text"])(x) for kind, x in rows]
    out = through((module,), x_BTD, ByKind(of=(), kinds=KINDS).rows(kind_BT))
    torch.testing.assert_close(out.flatten(0, 1), torch.stack(one_by_one))


def test_rows_go_through_one_copy_each() -> None:
    """The cost is that of the rows: no copy sees another's."""
    module, kind_BT, seen = layer(), torch.tensor([[0, 1, 1, 0, 0], [0, 0, 3, 1, 0]]), {}
    for name, copy in module.named_children():
        copy.register_forward_hook(lambda _, args, out, name=name: seen.update({name: len(args[0])}))
    through((module,), torch.randn(2, 5, 4), ByKind(of=(), kinds=KINDS).rows(kind_BT))
    assert seen == {"text": 6, "image": 3, "audio": 1}


def test_text_alone_needs_no_rows() -> None:
    assert ByKind(of=(), kinds=KINDS).rows(torch.tensor([[0, 0, 4]])) is None
    rows = ByKind(of=(), kinds=KINDS).rows(torch.tensor([[0, 3, 3]]))
    assert rows is not None and [name for name, _ in rows.each] == ["text", "audio"]


def sequence(kind_BT: torch.Tensor) -> Seq:
    plain = causal(torch.randn(*kind_BT.shape, 16))
    return Seq(plain.x_BTD, kind_BT, plain.pos_PBT, blocks(kind_BT), plain.seg_BT)


@torch.no_grad()
@pytest.mark.parametrize("changes", [{}, {"norm_last": True}, {"parallel": True}])
def test_equal_copies_are_the_plain_decoder(changes: dict[str, bool]) -> None:
    of = ("qkv", "qk_norms", "o", "ffn") if changes.get("parallel") else SPEC.by_kind.of
    lm, plain = SPEC.but(by_kind__of=of, **changes).build(), PLAIN.but(**changes).build()
    others = (".image.", ".audio.")
    state = {n: p for n, p in lm.state_dict().items() if not any(other in n for other in others)}
    plain.load_state_dict({n.replace(".text.", "."): p for n, p in state.items()})
    seq = sequence(torch.tensor([[0, 1, 1, 3, 0, 0], [0, 0, 3, 3, 1, 1]]))
    torch.testing.assert_close(lm.hidden(seq), plain.hidden(seq))


def test_weights_of_absent_kinds_have_no_gradient() -> None:
    lm = SPEC.build()
    lm.hidden(sequence(torch.tensor([[0, 1, 1, 0]]))).sum().backward()
    moved = {name for name, p in lm.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert any(".text." in name for name in moved) and any(".image." in name for name in moved)
    assert not any(".audio." in name for name in moved)


def test_a_block_without_the_sub_layer_is_refused() -> None:
    with pytest.raises(SpecError, match="no 'attn.q_norm'"):
        PLAIN.but(qk_norm=None, ffn=MLP(hidden=8), by_kind=ByKind(of=("qk_norms",))).build()
