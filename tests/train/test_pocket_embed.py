"""What the recipe of the pocket pair draws, and how it scores."""

from __future__ import annotations

import pytest
import torch

from anyvlm.data.captioned import icon, icons, scene
from anyvlm.data.icons import HELD_OUT, open_atlas
from anyvlm.train.pocket_embed import Kept, choices, order, recall, report

KEPT = Kept(
    rows=tuple(torch.full((2, 3), float(n)) for n in range(9)),
    names=(0, 1, 2, 3, 0, 1, -1, -1, 3),
    styles=("a", "a", "a", "a", "b", "b", "scene", "scene", "b"),
    said=((0, 4), (1,), (2,), (3,), (0, 4), (1,), (5,), (6,), (3,)),
    lines=("cat", "dog", "owl", "car", "a cat", "a cat and a dog", "two owls"),
)


def test_no_name_is_twice_in_a_batch_and_all_have_their_turn() -> None:
    seen = set()
    for step in range(8):
        drawn = list(choices(KEPT, 8, step))
        assert drawn == list(choices(KEPT, 8, step)), "a function of the step"
        names = [KEPT.names[n] for n, _ in drawn]
        assert sorted(names) == [-1, 0, 1, 2, 3]
        assert all(line in KEPT.said[n] for n, line in drawn)
        seen |= set(drawn)
    assert len({n for n, _ in seen}) == 9
    halves = [{KEPT.names[n] for n, _ in choices(KEPT.only("a"), 2, step)} for step in (0, 1)]
    assert halves[0] | halves[1] == {0, 1, 2, 3}


def test_a_style_can_be_left_out() -> None:
    left, out = KEPT.without("b"), KEPT.only("b")
    assert left.names == (0, 1, 2, 3, -1, -1) and out.names == (0, 1, 3)
    assert left.rows[4] is KEPT.rows[6] and out.said == ((0, 4), (1,), (3,))


def test_recall_counts_both_directions() -> None:
    cosine = torch.tensor([[0.9, 0.1, 0.0], [0.8, 0.7, 0.0], [0.0, 0.2, 0.1]])
    assert [recall(cosine, torch.arange(3), k) for k in (1, 2, 3)] == [1, 3, 3]
    wide = torch.cat([cosine, torch.zeros(3, 4)], 1)
    assert report(wide, torch.arange(3))["image to text @1"][0] == pytest.approx(1 / 3)
    assert report(wide, torch.arange(3))["text to image @1"][0] == 1.0


@pytest.mark.network
def test_views_follow_from_their_numbers_and_leave_the_held_out_style_alone() -> None:
    atlas, all_ = open_atlas(), order()
    styles = {style for _, style, _ in all_}
    assert HELD_OUT not in styles and styles == {*atlas.styles, "scene"}
    assert len({each[:2] for each in all_ if each[0] >= 0}) == len(icons(atlas)), "every icon there is"
    one, again = icon(atlas, 7, "noto", 0), icon(atlas, 7, "noto", 0)
    assert (one.image == again.image).all() and one.image.shape == (224, 224, 3)
    assert not (one.image == icon(atlas, 7, "noto", 1).image).all()
    assert atlas.names[7].text in one.captions and scene(atlas, 3).name == -1
    assert "coffee" in icon(atlas, [n.text for n in atlas.names].index("hot beverage"), "noto").captions
