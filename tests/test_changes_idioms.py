"""The same idea written another way: each is the one change a reader of the code would name."""

import pytest

from kg.changes import changes
from tests.gpt_source import GPT, edited
from tests.test_changes import STEP, short

ROTATED = "q, k = rotary(q, cos, sin), rotary(k, cos, sin)\n"
NORMED = "        q, k = norm(q), norm(k)\n"
IDIOMS = [
    (
        [(NORMED, ""), ("        " + ROTATED, NORMED + "        " + ROTATED)],
        "attention.qk_norm replace none after rotation norm -> norm",
    ),
    (
        [("c_k.weight, -s, s)", "c_k.weight, -s / 2, s / 2)")],
        "init.qk_scale decrease none 1 -> 1 / 2",
    ),
    (
        [("enumerate(self.h):", "enumerate(list(self.h) * 2):")],
        "model.layer_loops add none None -> 2",
    ),
    (
        [
            ("        self.mlp = FeedForward(config)\n",
             "        self.experts = nn.ModuleList(FeedForward(config) for _ in range(4))\n"
             "        self.router = nn.Linear(config.n_embd, 4)\n"),
            ("        x = x + self.mlp(norm(x))\n",
             "        share = self.router(norm(x)).softmax(-1)\n"
             "        x = x + sum(s * e(norm(x)) for s, e in zip(share, self.experts))\n"),
        ],
        "mlp.moe add none None -> True",
    ),
    (
        [(STEP, "    grads = [p.grad for p in model.parameters()]\n"
                "    torch._foreach_mul_(grads, (1 / size_of(grads)).clamp(max=1.0))\n" + STEP)],
        "optimizer.grad_clip add both None -> True",
    ),
    (
        [(STEP, "    for p in model.parameters():\n"
                "        slow[p].lerp_(p.grad, 0.02)\n"
                "        p.grad.add_(slow[p], alpha=2.0)\n" + STEP)],
        "optimizer.gradient_ema add both None -> 0.02",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("pairs", "expected"), IDIOMS)
def test_an_idea_is_told_however_it_is_written(pairs: list[tuple[str, str]], expected: str) -> None:
    assert short(changes(GPT, edited(*pairs))) == [expected]


def test_a_part_taken_out_of_an_expression_is_removed() -> None:
    plain = edited(("            x = x + self.x0_lambdas[i] * x0\n", "            x = x\n"))
    (found,) = changes(GPT, plain)
    assert (found.component, found.change_type) == ("residual", "remove")
