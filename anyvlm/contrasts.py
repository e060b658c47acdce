"""Contrasts beyond CLIP's and SigLIP's: rows (FLAIR), variances (ProLIP), hard negatives (DiHT), several partners (e-CLIP), two
views (SLIP), vectors as they are (VideoCLIP), one direction (CiT), a mean of pairs (SAIL).

Shape letters: A pictures, K captions of each, J texts, R rows of a picture, B pairs, D width, E width of the shared space.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.dual import Contrast, ContrastModule, Look, Sigmoid, SigmoidModule, Softmax, SoftmaxModule
from anyvlm.errors import InputError
from anyvlm.parts.chunked import info_nce, one_way, sigmoid
from anyvlm.parts.conditioned import ConditionedPool
from anyvlm.parts.weighted import hard_negatives, nt_xent, several


@dataclass(frozen=True, kw_only=True)
class OneWay(Softmax):
    """A softmax whose loss is of one direction: each `a` looks for its partner among all `b` (CiT, 2301.02241)."""

    def build(self) -> OneWayModule:
        """The module."""
        return OneWayModule(self)


class OneWayModule(SoftmaxModule):
    """Parameters: scale."""

    def loss(self, a_BE: Tensor, b_BE: Tensor) -> Tensor:
        """Of pictures among texts, where `a` are pictures."""
        return one_way(a_BE, b_BE, self.scale.exp())


@dataclass(frozen=True, kw_only=True)
class Conditioned(Sigmoid):
    """A sigmoid over points, and one over the picture as a text sees it (2412.03561). `skip`: rows in front that are not seen.

    Asked for points it compares points. Loss: half of the sum over points, each picture with the captions of all (MPS), half of
    that over conditioned points, each with its own captions and one of every other's, drawn (TCS).
    """

    scale: float = 1 / 0.07
    pool: ConditionedPool
    width: int
    skip: int = 1

    def build(self) -> ConditionedModule:
        """The module."""
        return ConditionedModule(self)


class ConditionedModule(SigmoidModule):
    """Parameters: scale, bias, pool."""

    reads_rows = True

    def __init__(self, spec: Conditioned) -> None:
        super().__init__(spec)
        self.pool, self.skip = spec.pool.build(spec.width), spec.skip

    def fine(self, a: Look, b: Look) -> Tensor:
        """(A, J): cosines of every text with every picture as that text sees it."""
        text_JE = b.vector_BE
        return self._seen(a.rows_BRE[:, self.skip :], text_JE.expand(len(a.vector_BE), -1, -1))

    def fine_logits(self, cosine: Tensor) -> Tensor:
        """The same scale and bias as for points."""
        return self.scale.exp() * cosine + self.bias

    def _seen(self, rows_ARE: Tensor, text_AKE: Tensor) -> Tensor:
        return (F.normalize(self.pool(text_AKE, rows_ARE), dim=-1) * F.normalize(text_AKE, dim=-1)).sum(-1)

    def between(self, a: Look, b: Look) -> Tensor:
        """Captions stand in the order of their pictures, equally many for each."""
        A, J, text_JE = len(a.vector_BE), len(b.vector_BE), b.vector_BE
        if J % A:
            raise InputError(f"There are {J} captions for {A} pictures; give equally many for each.")
        K = J // A
        own = torch.arange(J, device=text_JE.device).view(A, K)
        order = torch.arange(A, device=text_JE.device)
        others = order.expand(A, A)[~torch.eye(A, dtype=torch.bool, device=text_JE.device)].view(A, A - 1)
        drawn = torch.cat([own, own[others, torch.randint(0, K, (A, A - 1), device=text_JE.device)]], 1)
        z = self.fine_logits(self._seen(a.rows_BRE[:, self.skip :], text_JE[drawn]))
        signs = torch.ones_like(z)
        signs[:, K:] = -1
        tcs = -F.logsigmoid(signs * z).sum() / drawn.shape[1]
        if K == 1:
            return (tcs + self.loss(a.point_BE, b.point_BE)) / 2
        all_ = self.logits(a.point_BE, b.point_BE)
        fits = own.new_tensor(range(J)) // K == order[:, None]
        return (tcs - F.logsigmoid(torch.where(fits, all_, -all_)).sum() / J) / 2


@dataclass(frozen=True, kw_only=True)
class Dot(Softmax):
    """A softmax over products of vectors as they are, neither normed nor scaled; the loss is the sum of both directions
    (VideoCLIP, 2109.14084).
    """

    scale: float = 1.0

    def build(self) -> DotModule:
        """The module."""
        return DotModule(self)


class DotModule(ContrastModule):
    """It has no parameters."""

    def __init__(self, spec: Dot) -> None:
        super().__init__()
        self.spec = spec

    def logits(self, a_AE: Tensor, b_KE: Tensor) -> Tensor:
        """(A, K)."""
        return a_AE @ b_KE.T

    def probabilities(self, logits_AK: Tensor) -> Tensor:
        """Each line sums to 1."""
        return logits_AK.softmax(-1)

    def loss(self, a_BE: Tensor, b_BE: Tensor) -> Tensor:
        """Of vectors as they are."""
        return 2 * info_nce(a_BE, b_BE, torch.ones((), device=a_BE.device))

    def between(self, a: Look, b: Look) -> Tensor:
        """Of the towers' vectors."""
        return self.loss(a.vector_BE.float(), b.vector_BE.float())


@dataclass(frozen=True, kw_only=True)
class MeanSigmoid(Sigmoid):
    """A sigmoid whose loss is the mean over all pairs, not the sum by the number of items (SAIL, 2412.04616)."""

    scale: float = 20.0

    def build(self) -> MeanSigmoidModule:
        """The module."""
        return MeanSigmoidModule(self)


class MeanSigmoidModule(SigmoidModule):
    """Parameters: scale, bias."""

    def loss(self, a_BE: Tensor, b_BE: Tensor) -> Tensor:
        """Over B x B pairs."""
        return super().loss(a_BE, b_BE) / len(a_BE)


@dataclass(frozen=True, kw_only=True)
class Probabilistic(Sigmoid):
    """A sigmoid over points less half of both variances (2410.18857, PPCL), and what keeps variances meaningful.

    `inclusion`: weight of the test that a picture lies in its text; `eps`, `sharp`: of that test; `bottleneck`: weight of the
    distance from a normal distribution. Asked for points it compares points.
    """

    inclusion: float = 1e-7
    eps: float = -10.0
    sharp: float = 1000.0
    bottleneck: float = 1e-4

    def build(self) -> ProbabilisticModule:
        """The module."""
        return ProbabilisticModule(self)


class ProbabilisticModule(SigmoidModule):
    """Parameters: scale, bias."""

    spec: Probabilistic

    def pairwise(self, a: Look, b: Look) -> Tensor:
        """The matching loss alone. No matrix (B, B) is kept: variances are two more values of every point."""
        one = torch.ones_like(a.point_BE[:, :1])
        left = torch.cat([a.point_BE, -uncertainty(a)[:, None] / 2, one], 1)
        right = torch.cat([b.point_BE, one, -uncertainty(b)[:, None] / 2], 1)
        return sigmoid(left, right, self.scale.exp(), self.bias)

    def lies_in(self, a: Look, b: Look) -> Tensor:
        """How badly `a` lies in `b`, its text or a part of itself; 0 where the value explodes, as the authors leave it out."""
        test = included(a, b, self.spec.eps) - included(b, a, self.spec.eps)
        return _unless(-F.logsigmoid(self.spec.sharp * test).mean(), 1e5)

    def between(self, a: Look, b: Look) -> Tensor:
        """The weighted sum of all three."""
        bottleneck = sum(_unless(_from_normal(each), 1e4) for each in (a, b))
        return self.pairwise(a, b) + self.spec.inclusion * self.lies_in(a, b) + self.spec.bottleneck * bottleneck


def uncertainty(look: Look) -> Tensor:
    """(B,): the sum of all variances. Short texts, which fit much, and pictures of little have a large one."""
    assert look.spread_BE is not None
    return look.spread_BE.exp().sum(-1)


def included(a: Look, b: Look, eps: float) -> Tensor:
    """(B, E): large where the distribution `a` lies in `b`, by each value: log of the integral of p(a)^2 p(b).

    All precisions are e^eps times what they are; that factor is taken out, where the authors' code would underflow.
    """
    assert a.spread_BE is not None and b.spread_BE is not None
    mu_a, mu_b, s_a, s_b = a.point_BE, b.point_BE, (-a.spread_BE).exp(), (-b.spread_BE).exp()
    x, y = s_a + 0.5 * s_b, 2 * mu_a * s_a + mu_b * s_b
    z = mu_a**2 * s_a + 0.5 * mu_b**2 * s_b
    return -2 * a.spread_BE - b.spread_BE - 0.5 * (x.log() + eps) + exp(eps) * (y**2 / 4 / x - z)


def _from_normal(look: Look) -> Tensor:
    """The authors' divergence: the log variance is halved before it, so that it is a log deviation where a variance stands."""
    assert look.spread_BE is not None
    half = look.spread_BE / 2
    return -0.5 * (1 + half - look.point_BE**2 - half.exp()).mean()


def _unless(loss: Tensor, most: float) -> Tensor:
    return torch.where(loss.detach().abs() > most, torch.zeros_like(loss), loss)


@dataclass(frozen=True, kw_only=True)
class HardNegatives(Softmax):
    """A softmax in which likely negatives weigh more (HN-NCE, 2301.02280): `beta` how much, `alpha` the partner's weight."""

    alpha: float = 1.0
    beta: float = 0.25

    def build(self) -> HardNegativesModule:
        """The module."""
        return HardNegativesModule(self)


class HardNegativesModule(SoftmaxModule):
    """Parameters: scale."""

    spec: HardNegatives

    def loss(self, a_BE: Tensor, b_BE: Tensor) -> Tensor:
        """The mean of both directions."""
        return hard_negatives(a_BE, b_BE, self.scale.exp(), self.spec.alpha, self.spec.beta)


@dataclass(frozen=True, kw_only=True)
class Several(Softmax):
    """A softmax whose aim is spread over all items of one number, such as goods of one catalogue entry (e-CLIP, 2207.00208)."""

    def build(self) -> SeveralModule:
        """The module."""
        return SeveralModule(self)


class SeveralModule(SoftmaxModule):
    """Parameters: scale."""

    def between(self, a: Look, b: Look) -> Tensor:
        """Where no numbers are known every item has one partner."""
        if a.alike_B is None:
            return self.loss(a.point_BE, b.point_BE)
        return several(a.point_BE, b.point_BE, self.scale.exp(), a.alike_B)


@dataclass(frozen=True, kw_only=True)
class Views(Contrast):
    """Two views of a picture know each other by a head that only training needs (SimCLR beside CLIP: SLIP, 2112.12750).

    `tower` reads both; the head maps what it pools, `width` wide, through two hidden layers; `scale` is fixed.
    """

    a: str = "view_a"
    b: str = "view_b"
    scale: float = 10.0
    tower: str = "image"
    width: int
    hidden: int = 4096
    out: int = 256

    @property
    def sides(self) -> dict[str, str]:
        """Both by one tower."""
        return {self.a: self.tower, self.b: self.tower}

    def build(self) -> ViewsModule:
        """The module."""
        return ViewsModule(self)


class ViewsModule(ContrastModule):
    """Parameters: head. The batch norms see the pictures of this process, one view at a time."""

    spec: Views

    def __init__(self, spec: Views) -> None:
        super().__init__()
        self.spec, hidden = spec, spec.hidden

        def norm() -> nn.Module:  # only training reads it, by the batch at hand
            return nn.BatchNorm1d(hidden, track_running_stats=False)

        self.head = nn.Sequential(
            nn.Linear(spec.width, hidden), norm(), nn.ReLU(), nn.Linear(hidden, hidden), norm(), nn.ReLU(),
            nn.Linear(hidden, spec.out),
        )  # fmt: skip

    def logits(self, a_AE: Tensor, b_KE: Tensor) -> Tensor:
        """(A, K) of what the head made."""
        return self.spec.scale * (a_AE @ b_KE.T)

    def probabilities(self, logits_AK: Tensor) -> Tensor:
        """Each line sums to 1."""
        return logits_AK.softmax(-1)

    def loss(self, a_BE: Tensor, b_BE: Tensor) -> Tensor:
        """NT-Xent over both views of all pictures."""
        return nt_xent(a_BE, b_BE, a_BE.new_tensor(self.spec.scale, dtype=torch.float32))

    def between(self, a: Look, b: Look) -> Tensor:
        """Of what the head makes of both."""
        assert a.pooled_BD is not None and b.pooled_BD is not None
        return self.loss(*(F.normalize(self.head(look.pooled_BD).float(), dim=-1) for look in (a, b)))
