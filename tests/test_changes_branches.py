"""Code in branches, and features in yet other words: each idea one record, none beside it."""

import pytest

from kg.changes import changes
from tests.gpt_edits import STEP, short
from tests.gpt_source import GPT, edited
from tests.test_changes_structural import ATTEND, BETAS, HEADS, JOINS, MLP

ACT = "        h = F.relu(h).square()\n"
LAYERS = "            x = block(x, self.cos, self.sin, self.windows[i])\n"
SIDE = "        h = norm(x)\n        x = x + self.attn(h, cos, sin, window_size) + self.mlp(h)\n"
KEYS = (
    "        self.c_k = nn.Linear(config.n_embd, config.n_embd, bias=False)\n"
    "        self.c_v = nn.Linear(config.n_embd, config.n_embd, bias=False)\n"
)
SPLIT = (
    "        k = self.c_k(x).view(B, T, self.n_head, -1)\n"
    "        v = self.c_v(x).view(B, T, self.n_head, -1)\n"
)


def indented(code):
    return "".join(f"    {line}\n" for line in code.splitlines())


DEEP = MLP + "        self.beside = layer_idx >= config.n_layer // 2\n"
IDEAS = [
    (
        [(MLP, DEEP), (JOINS, "        if self.beside:\n" + indented(SIDE)
                       + "        else:\n" + indented(JOINS))],
        "residual.parallel_block enable none False -> True",
    ),
    (
        [(MLP, DEEP), (JOINS, "        if self.beside:\n" + indented(SIDE)
                       + "            return x\n" + JOINS)],
        "residual.parallel_block enable none False -> True",
    ),
    (
        [(JOINS, "        kept = (torch.rand(2) > 0.1).to(x.dtype) / 0.9\n"
          + JOINS.replace("+ self.attn", "+ kept[0] * self.attn")
          .replace("+ self.mlp", "+ kept[1] * self.mlp"))],
        "regularization.stochastic_depth add none None -> 0.1",
    ),
    (
        [(ATTEND, "        y = F.scaled_dot_product_attention(q, k, v, is_causal=True,\n"
          "            dropout_p=0.2 if self.training else 0.0)\n"),
         (HEADS, HEADS + "        self.kernel = 'sdpa'\n")],
        "regularization.dropout.attention add none None -> 0.2",
    ),
    (
        [(STEP, "    g = model.wte.weight.grad\n    g += 0.01 * torch.randn_like(g)\n" + STEP)],
        "regularization.gradient_noise add both None -> 0.01",
    ),
    (
        [(STEP, "    model.lm_head.weight.grad *= 0.3\n" + STEP)],
        "optimizer.gradient_scaling add both None -> 0.3",
    ),
    (
        [(ACT, "        a, b = h.chunk(2, dim=-1)\n"
          "        h = torch.cat([F.relu(a).square(), F.gelu(b)], dim=-1)\n")],
        "mlp.activation replace none relu^2 -> relu^2|gelu",
    ),
    (
        [(KEYS, "        self.c_kv = nn.Linear(config.n_embd, 2 * config.n_embd, bias=False)\n"),
         (SPLIT, "        k, v = self.c_kv(x).view(B, T, 2, self.n_head, -1).unbind(2)\n")],
        "attention.qkv_projection replace none separate -> partly fused",
    ),
    (
        [(BETAS, BETAS + '            group["ns_steps"] = 3 if progress < 0.5 else 5\n')],
        "optimizer.muon_ns_steps replace muon 5 -> 3 if progress < 0.5 else 5",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("pairs", "wanted"), IDEAS)
def test_one_idea_is_one_record(pairs, wanted):
    found = short(changes(GPT, edited(*pairs)))
    assert [line for line in found if not line.startswith("attention.backend")] == [wanted]


def test_a_bound_on_what_goes_from_layer_to_layer_is_no_cap_of_the_logits():
    after = edited((LAYERS, LAYERS + "            x = 9 * torch.tanh(x / 9)\n"))
    assert "head.softcap" not in {change.knob for change in changes(GPT, after)}


def test_a_second_projection_of_a_hidden_layer_leaves_its_activation():
    after = edited(
        ("        return self.down(h)", "        return self.down(h) + F.linear(h, self.w)")
    )
    assert "mlp.activation" not in {change.knob for change in changes(GPT, after)}


SKIPS = "        if self.training and torch.rand(1).item() < 0.2:\n            return x\n"


def test_a_return_goes_with_the_test_it_stood_under():
    skipping = edited((JOINS, SKIPS + JOINS))
    (change,) = changes(skipping, edited(("DEPTH = 6 ", "DEPTH = 6  ")))
    assert (change.knob, str(change.change_type)) == ("regularization.stochastic_depth", "remove")


def test_a_smaller_share_is_a_decrease():
    kept = (
        ACT
        + "        floor = h.topk(h.size(-1) // 4, dim=-1).values[..., -1:]\n"
        + ("        h = h * (h >= floor)\n")
    )
    some = edited((ACT, kept))
    (change,) = changes(some, some.replace("// 4, dim", "// 8, dim"))
    assert (change.knob, str(change.change_type)) == ("mlp.sparsity", "decrease")


def test_a_gain_of_the_other_branch_as_well_is_rezero_still():
    gain = MLP + "        self.attn_gain = nn.Parameter(torch.zeros(1))\n"
    one = edited((MLP, gain), (JOINS, JOINS.replace("+ self.attn", "+ self.attn_gain * self.attn")))
    two = edited(
        (gain, gain + gain.removeprefix(MLP).replace("attn", "mlp")),
        ("+ self.mlp(norm", "+ self.mlp_gain * self.mlp(norm"),
        source=one,
    )
    assert [c.knob for c in changes(one, two)] == ["residual.rezero"]


def test_a_group_of_what_is_no_matrix_is_not_that_of_the_matrices():
    group = (
        '            dict(kind="adamw", params=[p for p in self.h.parameters() if p.ndim != 2],\n'
        "                 lr=scalar_lr * 0.02, betas=adam_betas, eps=1e-10, weight_decay=0.0),\n"
    )
    apart = edited(("        groups = [\n", "        groups = [\n" + group))
    (change,) = changes(apart, apart.replace("scalar_lr * 0.02", "scalar_lr * 0.04"))
    assert (change.knob, str(change.change_type)) == ("optimizer.scalar_lr", "increase")


@pytest.mark.parametrize(
    ("pairs", "wanted"),
    [
        (
            [("        softcap = 15\n", "        softcap = self.cap.abs() + 1.0\n"),
             ("        self.x0_lambdas = nn",
              "        self.cap = nn.Parameter(torch.tensor(15.0))\n        self.x0_lambdas = nn")],
            "head.softcap replace none 15 -> self.cap.abs() + 1.0",
        ),
        (
            [("* get_lr_multiplier(progress)",
              "* get_lr_multiplier(progress) * min(1.0, (step + 1) / 100)")],
            "schedule.lr_shape replace both none -> min(1.0,((step+1)/100))",
        ),
    ],
)  # fmt: skip
def test_a_number_that_becomes_code_is_replaced(pairs, wanted):
    assert short(changes(GPT, edited(*pairs))) == [wanted]
