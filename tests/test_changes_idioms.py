"""The same idea written another way: each is the one change a reader of the code would name."""

import pytest

from kg.changes import changes
from tests.gpt_edits import STEP, short
from tests.gpt_source import GPT, edited

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
        "mlp.moe add none None -> 4",
    ),
    (
        [(STEP, "    grads = [p.grad for p in model.parameters()]\n"
                "    torch._foreach_mul_(grads, (1 / size_of(grads)).clamp(max=1.0))\n" + STEP)],
        "optimizer.grad_clip add both None -> True",
    ),
    (
        [("        x = x + self.attn(norm(x), cos, sin, window_size)\n"
          "        x = x + self.mlp(norm(x))\n",
          "        x = x + self.mlp(norm(x))\n"
          "        x = x + self.attn(norm(x), cos, sin, window_size)\n")],
        "residual.structure replace none attn then mlp -> mlp then attn",
    ),
    (
        [("* get_lr_multiplier(progress)", "* get_lr_multiplier(progress) * min(1, step / 50)")],
        "schedule.lr_shape replace both none -> min(1,(step/50))",
    ),
    (
        [("        self.n_head = config.n_head\n",
          "        self.n_head = config.n_head\n        self.layer_idx = layer_idx\n"),
         ("        q, k = rotary(q, cos, sin), rotary(k, cos, sin)\n",
          "        if self.layer_idx % 4 != 3:\n"
          "            q, k = rotary(q, cos, sin), rotary(k, cos, sin)\n")],
        "position.encoding replace none rope -> rope(some layers)",
    ),
    (
        [("        self.n_head = config.n_head\n",
          "        self.n_head = config.n_head\n        self.g = nn.Parameter(torch.ones(8))\n"),
         ("        return self.c_proj(y.", "        y = y * self.g[:, None]\n"
                                        "        return self.c_proj(y.")],
        "attention.head_scale add none None -> True",
    ),
    (
        [("        self.mlp = FeedForward(config)\n",
          "        self.mlp = FeedForward(config)\n        self.first = layer_idx == 0\n"),
         ("        x = x + self.attn(norm(x), cos, sin, window_size)\n",
          "        if not self.first:\n"
          "            x = x + self.attn(norm(x), cos, sin, window_size)\n")],
        "attention.every_n_layers add none None -> not layer_idx == 0",
    ),
    (
        [("        h = F.relu(h).square()\n",
          "        h = F.relu(h).square()\n        h = h * (torch.rand_like(h) > 0.05)\n")],
        "regularization.dropout.mlp add none None -> 0.05",
    ),
    (
        [("* get_lr_multiplier(progress)", "* get_lr_multiplier(progress) * surprise"),
         ("    progress = total_time", "    surprise = rated(loss)\n    progress = total_time")],
        "schedule.lr_shape replace both none -> surprise",
    ),
    (
        [(STEP, "    for p in model.parameters():\n"
                "        p.grad.div_(p.grad.norm() + 1e-8)\n" + STEP)],
        "optimizer.gradient_scaling add both None -> True",
    ),
    (
        [(NORMED, NORMED + "        q = q + 0.1 * k\n")],
        "attention.qk_mixing add none None -> q + 0.1 * k",
    ),
    (
        [("self.x0_lambdas.fill_(0.1)", "self.x0_lambdas.copy_(torch.linspace(0.2, 0, 6))")],
        "init.x0_lambda restructure none 0.1 -> torch.linspace(0.2, 0, 6)",
    ),
    (
        [("(1 - left) * FINAL_LR_FRAC", "(1 - left) * 0.05")],
        "schedule.final_lr_frac increase both 0.0 -> 0.05",
    ),
    (
        [(STEP, "    for p in model.parameters():\n"
                "        p.add_(torch.randn_like(p), alpha=1e-4)\n" + STEP)],
        "regularization.gradient_noise add both None -> 0.0001",
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


def test_a_term_on_the_activation_is_what_its_message_calls_it() -> None:
    damped = edited(
        (
            "        return self.down(h)\n",
            "        return self.down(F.relu(h - 0.5 * h.mean(-1)))\n",
        )
    )
    told = changes(GPT, damped, message="lateral inhibition between hidden units")
    assert [(c.knob, c.change_type) for c in told] == [("mlp.sparsity", "add")]
    assert [c.knob for c in changes(GPT, damped)] == ["mlp.activation"]


def test_code_of_the_stream_is_named_by_what_people_call_it() -> None:
    smeared = edited(
        (
            "        x0 = x\n",
            "        x = torch.cat([x[:, :1], x[:, 1:] + 0.1 * x[:, :-1]], 1)\n        x0 = x\n",
        )
    )
    told = changes(GPT, smeared, message="smear: each token sees the one before it")
    assert [(c.knob, c.component) for c in told] == [("embedding.short_conv", "embedding")]
    assert [c.knob for c in changes(GPT, smeared)] == ["residual.stream"]


def test_a_cast_left_out_is_no_other_initial_weight() -> None:
    cast = edited(
        ("        self.x0_lambdas.fill_(0.1)\n",
         "        self.x0_lambdas.fill_(0.1)\n        self.wte.to(dtype=torch.bfloat16)\n"),
    )  # fmt: skip
    (found,) = changes(cast, GPT, message="keep the embeddings in full precision")
    assert (found.knob, found.change_type) == ("other.environment", "no_effect")


BEND = """class Bend(nn.Module):
    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x * torch.tanh(self.slope * x)


class Block("""


def test_a_module_has_the_role_of_what_holds_it() -> None:
    bent = edited(
        ("class Block(", BEND),
        ("self.mlp = FeedForward(config)", "self.act = Bend()"),
        ("self.mlp(norm(x))", "self.act(norm(x))"),
    )
    (found,) = changes(GPT, bent)
    assert (found.knob, found.change_type) == ("mlp.activation", "replace")
    steep = edited(("torch.tanh(self.slope * x)", "torch.tanh(3 + self.slope * x)"), source=bent)
    assert [change.component for change in changes(bent, steep)] == ["mlp"]


SAMPLES = """
def sampled(model, prompt="a", length=64):
    found = [prompt]
    for _ in range(length):
        found.append(model(found).argmax())
    return found


if keep_samples:
    with open("samples.txt", "w") as out:
        out.write(sampled(model, length=128))
"""


def test_a_function_that_only_a_report_calls_is_part_of_the_report() -> None:
    (found,) = changes(GPT, GPT + SAMPLES)
    assert (found.component, found.change_type) == ("evaluation", "add")


def test_a_literal_that_gets_a_name_beside_a_report_is_a_report() -> None:
    named = edited(("torch.manual_seed(42)", "SEED = 42\ntorch.manual_seed(SEED)"))
    found = changes(GPT, named + 'print(f"seed: {SEED}")\n')
    assert short(found) == ["evaluation.logging add none None -> None"]


def test_a_width_that_is_computed_is_compared_by_what_it_comes_to() -> None:
    named = edited(
        ("    width = depth * ASPECT_RATIO\n",
         "    base_dim = depth * ASPECT_RATIO\n    width = base_dim\n"),
    )  # fmt: skip
    wider = edited(("depth * ASPECT_RATIO", "depth * ASPECT_RATIO + 64"), source=named)
    (found,) = changes(named, wider)
    assert (found.knob, found.change_type) == ("model.width", "increase")


def test_code_said_to_be_tidied_is_a_refactoring_where_no_knob_accounts_for_it() -> None:
    tidied = edited(
        ("        B, T, C = x.shape\n", "        B, T = x.shape[:2]\n"),
        ("y.reshape(B, T, C)", "y.reshape(B, T, -1)"),
        ("        x = norm(self.wte(idx))\n", "        x = norm(self.wte(idx.long()))\n"),
    )
    told = changes(GPT, tidied, message="refactor: drop unused sizes")
    assert short(told) == ["other.refactor no_effect none None -> None"]
    deeper = edited(("DEPTH = 6  ", "DEPTH = 7  "), source=tidied)
    assert "model.depth increase none 6 -> 7" in short(
        changes(GPT, deeper, message="refactor: drop unused sizes")
    )


def test_a_kernel_that_is_only_tried_is_one_change() -> None:
    tried = edited(
        ("DEPTH = 6  ", "try:\n    flash = get_kernel('fast')\n"
                        "except ImportError:\n    flash = None\nDEPTH = 6  "),
        ("        y = flash_attn_func(q, k, v, causal=True, window_size=window_size)\n",
         "        if flash is not None:\n"
         "            y = flash_attn_func(q, k, v, causal=True, window_size=window_size)\n"
         "        else:\n"
         "            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)\n"),
    )  # fmt: skip
    found = changes(GPT, tried, message="fall back to SDPA where there is no kernel")
    assert short(found) == ["attention.backend replace none fa3 -> sdpa"]


def test_a_count_that_depends_on_the_machine_is_compared_case_by_case() -> None:
    counted = edited(
        ("    if step > 10:", "    if step > SKIPPED:"),
        ("DEPTH = 6  ", "SKIPPED = 10 if fast_gpu() else 0\nDEPTH = 6  "),
    )
    assert short(changes(GPT, counted)) == [
        "evaluation.startup_exclude decrease none 10 -> SKIPPED"
    ]


MLP_FIRST = (
    "        x = x + self.attn(norm(x), cos, sin, window_size)\n"
    "        x = x + self.mlp(norm(x))\n",
    "        x = x + self.mlp(norm(x))\n"
    "        x = x + self.attn(norm(x), cos, sin, window_size)\n",
)


def test_lines_that_were_only_moved_are_undone_like_any_others() -> None:
    wider = edited(("softcap = 15", "softcap = 30"))
    found = changes(edited(MLP_FIRST), wider, message="softcap 30", history=[GPT])
    assert [(c.knob, c.change_type, c.silent) for c in found] == [
        ("residual.structure", "revert", True),
        ("head.softcap", "increase", False),
    ]


def test_an_idea_named_by_its_message_is_one_change_beside_what_it_undoes() -> None:
    mixed = edited(("q, k = norm(q), norm(k)\n", "q, k = norm(q).flip(2), norm(k)\n"))
    failed = edited(("softcap = 15", "softcap = 30"))
    found = changes(failed, mixed, message="QK mixing across heads", history=[GPT])
    assert [(c.knob, c.change_type, c.silent) for c in found] == [
        ("attention.qk_mixing", "add", False),
        ("head.softcap", "revert", True),
    ]
