import pytest

from kg.changes import changes, record
from kg.fingerprint import fingerprint, size
from kg.model import Change, ChangeType
from tests.gpt_source import GPT, edited

ATTENTION = "x = x + self.attn(norm(x), cos, sin, window_size)\n"
MLP = "x = x + self.mlp(norm(x))\n"
STEP = "    optimizer.step()\n"
LOSS = "return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))"
LM_HEAD = "lr=unembedding_lr * scale,\n" + " " * 17 + "betas=adam_betas, eps=1e-10, "
BLOCK_INIT = "        self.mlp = FeedForward(config)\n"


def short(found: list[Change]) -> list[str]:
    """Write changes as `knob type scope old -> new`, a star for what cannot act."""
    return [
        f"{c.knob} {c.change_type} {c.optimizer_scope} {c.old} -> {c.new}"
        + ("" if c.effective else " *")
        for c in found
    ]


NUMBERS = [
    ("DEPTH = 6  ", "DEPTH = 8  ", "model.depth increase none 6 -> 8"),
    ("2**16", "2**15", "batch.total decrease none 2**16 -> 2**15"),
    ('"SSL"', '"SL"', "attention.window_pattern replace none SSL -> SL"),
    ("MATRIX_LR = 0.02", "MATRIX_LR = 0.03", "optimizer.matrix_lr increase muon 0.02 -> 0.03"),
    ("(0.8, 0.95)", "(0.9, 0.95)", "optimizer.adam_beta1 increase adamw 0.8 -> 0.9"),
    ("base=10000", "base=2e5", "position.rope_base increase none 10000 -> 2e5"),
    ("fill_(0.1)", "fill_(0.05)", "init.x0_lambda decrease none 0.1 -> 0.05"),
    ("s = 3**0.5", "s = 0.7 * 3**0.5", "init.scale decrease none 1 -> 0.7"),
    ("std=0.002", "std=0.02", "init.lm_head_std increase none 0.002 -> 0.02"),
    ("step / 300", "step / 200", "schedule.muon_momentum_warmup_steps decrease muon 300 -> 200"),
    ("* 0.85", "* 0.8", "schedule.muon_momentum_start decrease muon 0.85 -> 0.8"),
    ("frac * 0.95", "frac * 0.97", "optimizer.muon_momentum increase muon 0.95 -> 0.97"),
    ("momentum=0.95", "momentum=0.9", "optimizer.muon_momentum decrease muon 0.95 -> 0.9 *"),
    ("beta2=0.95", "beta2=0.99", "optimizer.muon_beta2 increase muon 0.95 -> 0.99"),
    ("ns_steps=5, b", "ns_steps=6, b", "optimizer.muon_ns_steps increase muon 5 -> 6"),
    ("(0.96, 0.95)", "(0.9, 0.95)", "optimizer.x0_lambda_beta1 decrease adamw 0.96 -> 0.9"),
    ("softcap = 15", "softcap = 20", "head.softcap increase none 15 -> 20"),
    ("embd / 768", "embd / 512", "optimizer.lr_scale_reference decrease adamw 768 -> 512"),
    ("step > 10", "step > 5", "evaluation.startup_exclude decrease none 10 -> 5"),
    ("seed(42)", "seed(1)", "other.seed decrease none 42 -> 1"),
    (
        "long_window // 2",
        "long_window // 8",
        "attention.short_window decrease none long_window // 2 -> long_window // 8",
    ),
    (
        "long_window // 2",
        "768",
        "attention.short_window increase none long_window // 2 -> 768",
    ),
    (
        "n_kv_head=heads",
        "n_kv_head=max(1, heads // 2)",
        "attention.n_kv_head decrease none heads -> max(1, heads // 2)",
    ),
    ("4 * config.n_embd", "3 * config.n_embd", "mlp.expansion decrease none 4 -> 3"),
    (
        "embedding_lr * scale",
        "embedding_lr * 0.5 * scale",
        "optimizer.embedding_lr decrease adamw 1 -> 0.5",
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), NUMBERS)
def test_a_changed_literal_is_one_record(old: str, new: str, expected: str) -> None:
    found = changes(GPT, edited((old, new)))
    if old == "embedding_lr * scale":  # also a part of `unembedding_lr * scale`
        assert expected in short(found)
    else:
        assert short(found) == [expected]


def test_one_keyword_of_several_dicts_is_told_by_what_the_group_holds() -> None:
    lm_head = edited(
        (LM_HEAD + "weight_decay=0.0", LM_HEAD + "weight_decay=0.01"),
    )
    x0 = edited(('"weight_decay": 0.0', '"weight_decay": 0.1'))
    found = short(changes(GPT, lm_head) + changes(GPT, x0))
    assert found == [
        "regularization.weight_decay.lm_head increase adamw 0.0 -> 0.01",
        "regularization.weight_decay.x0_lambda increase adamw 0.0 -> 0.1",
    ]


STRUCTURE = [
    ("relu^3", [("F.relu(h).square()", "F.relu(h).pow(3)")], "mlp.activation replace"),
    ("gelu", [("F.relu(h).square()", "F.gelu(h)")], "mlp.activation replace"),
    (
        "sandwich",
        [(ATTENTION, "x = x + norm(self.attn(norm(x), cos, sin, window_size))\n")],
        "norm.placement add",
    ),
    ("no qk norm", [("        q, k = norm(q), norm(k)\n", "")], "attention.qk_norm remove"),
    (
        "parallel",
        [
            (ATTENTION, "h = norm(x)\n"),
            (MLP, "x = x + self.attn(h, cos, sin, window_size) + self.mlp(h)\n"),
        ],
        "residual.parallel_block enable",
    ),
    (
        "rezero",
        [
            (BLOCK_INIT, BLOCK_INIT + "        self.gain = nn.Parameter(torch.zeros(1))\n"),
            (MLP, "x = x + self.gain * self.mlp(norm(x))\n"),
        ],
        "residual.rezero add",
    ),
    (
        "dropout",
        [("return self.down(h)", "return F.dropout(self.down(h), 0.1, self.training)")],
        "regularization.dropout.mlp add",
    ),
    (
        "stochastic depth",
        [(MLP, "if self.training and torch.rand(()) < 0.1:\n            return x\n        " + MLP)],
        "regularization.stochastic_depth add",
    ),
    (
        "tying",
        [("        self.x0_lambdas = nn", "        self.lm_head.weight = self.wte.weight\n"
          "        self.x0_lambdas = nn")],
        "embedding.tying enable",
    ),
    ("smoothing", [("targets.view(-1))", "targets.view(-1), label_smoothing=0.1)")],
     "loss.label_smoothing add"),
    (
        "z-loss",
        [(LOSS, f"loss = {LOSS[7:]}\n        z = torch.logsumexp(logits, -1)\n"
          "        return loss + 1e-4 * (z**2).mean()")],
        "loss.z_loss add",
    ),
    (
        "clipping",
        [(STEP, "    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n" + STEP)],
        "optimizer.grad_clip add",
    ),
    (
        "gradient noise",
        [(STEP, "    for p in model.parameters():\n        p.grad.add_(torch.randn_like(p.grad),"
          " alpha=0.01)\n" + STEP)],
        "regularization.gradient_noise add",
    ),
    (
        "weight average",
        [(STEP, STEP + "    for p, e in zip(model.parameters(), ema_params):\n"
          "        e.lerp_(p.detach(), 0.01)\n"),
         ("step = 0\n", "step = 0\nema_params = [p.clone() for p in model.parameters()]\n")],
        "regularization.weight_ema add",
    ),
    ("cosine", [("return left + (1 - left) * FINAL_LR_FRAC",
                 "return 0.5 * (1 - math.cos(math.pi * left))")], "schedule.lr_shape replace"),
    ("constant decay", [("WEIGHT_DECAY * (1 - progress)", "WEIGHT_DECAY")],
     "schedule.weight_decay replace"),
    ("decay by shape", [("weight_decay=weight_decay))",
                         "weight_decay=weight_decay * (2 if shape[0] > shape[1] else 1)))")],
     "regularization.weight_decay.matrix restructure"),
    ("compile mode", [("dynamic=False", 'dynamic=False, mode="max-autotune"')],
     "precision.compile_mode add"),
    ("sdpa", [("flash_attn_func(q, k, v, causal=True, window_size=window_size)",
               "F.scaled_dot_product_attention(q, k, v, is_causal=True)")],
     "attention.backend replace"),
    ("saving", [("print(f", 'torch.save(model.state_dict(), "model.pt")\nprint(f')],
     "evaluation.checkpoint_saving add"),
    ("experts", [
        ("class Block(nn", "class MoE(nn.Module):\n    def __init__(self, config):\n"
         "        super().__init__()\n"
         "        self.experts = nn.ModuleList(FeedForward(config) for _ in range(4))\n"
         "        self.router = nn.Linear(config.n_embd, 4)\n\n    def forward(self, x):\n"
         "        w = self.router(x).softmax(-1)\n"
         "        return sum(w[..., i, None] * e(x) for i, e in enumerate(self.experts))\n\n\n"
         "class Block(nn"),
        ("self.mlp = FeedForward(config)", "self.mlp = MoE(config)"),
        ("        self.x0_lambdas.fill_(0.1)", "        for block in self.h:\n"
         "            nn.init.zeros_(block.mlp.router.weight)\n        self.x0_lambdas.fill_(0.1)"),
    ], "mlp.moe add"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("pairs", "expected"), [row[1:] for row in STRUCTURE], ids=[row[0] for row in STRUCTURE]
)
def test_an_idea_that_edits_many_places_is_one_record(
    pairs: list[tuple[str, str]], expected: str
) -> None:
    after = edited(*pairs)
    assert [f"{c.knob} {c.change_type}" for c in changes(GPT, after)] == [expected]
    assert [c.knob for c in changes(after, GPT)] == [expected.split()[0]]


def test_a_gated_unit_changes_activation_and_width() -> None:
    after = edited(
        ("        self.up = nn.Linear(config.n_embd, 4 * config.n_embd, bias=False)\n",
         "        hidden = int(8 / 3 * config.n_embd)\n"
         "        self.gate = nn.Linear(config.n_embd, hidden, bias=False)\n"
         "        self.up = nn.Linear(config.n_embd, hidden, bias=False)\n"),
        ("nn.Linear(4 * config.n_embd, config.n_embd", "nn.Linear(hidden, config.n_embd"),
        ("        h = self.up(x)\n        h = F.relu(h).square()\n",
         "        h = F.silu(self.gate(x)) * self.up(x)\n"),
    )  # fmt: skip
    assert [f"{c.knob} {c.change_type}" for c in changes(GPT, after)] == [
        "mlp.expansion decrease",
        "mlp.activation replace",
    ]


def test_a_value_that_gets_a_name_is_no_change() -> None:
    named = edited(("softcap = 15", "softcap = CAP"), ("DEPTH = 6  ", "CAP = 15\nDEPTH = 6  "))
    assert [c.change_type for c in changes(GPT, named)] == [ChangeType.NO_EFFECT]


def test_a_renamed_local_is_no_change() -> None:
    renamed = edited(("left", "rest"), ("softcap", "cap"))
    assert [c.change_type for c in changes(GPT, renamed)] == [ChangeType.NO_EFFECT]


def test_depth_alone_does_not_report_the_width_it_implies() -> None:
    assert [c.knob for c in changes(GPT, edited(("DEPTH = 6  ", "DEPTH = 7  ")))] == ["model.depth"]


def test_a_script_wrapped_in_a_guard_is_a_refactoring() -> None:
    head, _, script = GPT.partition("torch.manual_seed(42)\n")
    body = "".join(f"    {line}\n" for line in ("torch.manual_seed(42)\n" + script).splitlines())
    wrapped = f'{head}if __name__ == "__main__":\n{body}'
    found = changes(GPT, wrapped, message="wrap the script in a guard")
    assert [(c.knob, c.change_type) for c in found] == [("other.refactor", ChangeType.NO_EFFECT)]


def test_a_side_that_does_not_parse_is_exactly_one_change() -> None:
    for before, after in ((GPT, "def f(:"), ("def f(:", GPT), ("def f(:", "def g(:")):
        found = changes(before, after)
        assert [c.change_type for c in found] == [ChangeType.UNPARSED]
        assert record(found[0])["effective"] is None


def test_a_new_or_a_deleted_file_has_no_changes() -> None:
    assert changes(None, GPT) == changes(GPT, None) == changes(None, None) == []


FAILED = edited(("base=10000", "base=500"))
IDEA = edited(("softcap = 15", "softcap = 30"))


def test_a_failure_undone_without_a_word_is_a_silent_revert() -> None:
    found = changes(FAILED, IDEA, message="softcap 30", history=[GPT])
    assert [(c.knob, c.change_type.value, c.silent, c.old, c.new) for c in found] == [
        ("position.rope_base", "revert", True, "500", "10000"),
        ("head.softcap", "increase", False, "15", "30"),
    ]


def test_the_same_edit_announced_is_a_change_like_any_other() -> None:
    message = "softcap 30, rope base back at 10000 from 500"
    found = changes(FAILED, IDEA, message=message, history=[GPT])
    assert [c.change_type.value for c in found] == ["increase", "increase"]


def test_a_structural_failure_is_undone_as_a_whole() -> None:
    failed = edited(*STRUCTURE[-1][1])
    found = changes(failed, IDEA, message="softcap 30", history=["x = 1\n", GPT])
    assert [(c.knob, c.change_type.value, c.silent) for c in found] == [
        ("mlp.moe", "revert", True),
        ("head.softcap", "increase", False),
    ]


def test_a_commit_that_says_so_reverts() -> None:
    for history in ([], [GPT]):
        found = changes(FAILED, GPT, message="revert rope base", history=history)
        assert [(c.change_type.value, c.silent) for c in found] == [("revert", False)]


def test_a_reset_of_many_knobs_is_one_change() -> None:
    far = edited(*[(old, new) for old, new, _ in NUMBERS[:6]])
    found = changes(far, GPT, message="reset to the baseline", history=[GPT])
    assert [(c.knob, c.change_type.value) for c in found] == [("other.reset", "revert")]
    near = changes(FAILED, GPT, message="reset to the baseline", history=[GPT])
    assert [(c.knob, c.change_type.value) for c in near] == [("position.rope_base", "revert")]


def test_an_old_value_tried_again_is_no_revert() -> None:
    again = changes(FAILED, GPT, message="rope base 500 -> 10000", history=[GPT])
    assert [c.change_type.value for c in again] == ["increase"]


def test_an_edit_without_a_knob_gets_the_purpose_its_message_states() -> None:
    fixed = edited(("    step += 1\n", "    step += 1\n    if not loss <= 100:\n        break\n"))
    found = changes(GPT, fixed, message="fix NaN losses that pass the check")
    assert [c.knob for c in found] == ["other.bugfix"]
    assert [c.knob for c in changes(GPT, fixed)] == ["other.unspecified"]


def test_decay_by_layer_is_a_split_that_the_loop_overwrites() -> None:
    whole = """        for shape in sorted({p.shape for p in matrices}):
            same = [p for p in matrices if p.shape == shape]
"""
    split = """        for i, block in enumerate(self.h):
            share = 1 - 0.5 * i / len(self.h)
            same = list(block.parameters())
"""
    after = edited((whole, split), ("=weight_decay))", "=weight_decay * share))"))
    (found,) = changes(GPT, after)
    assert (found.knob, found.change_type) == (
        "regularization.weight_decay.matrix",
        ChangeType.RESTRUCTURE,
    )
    assert found.effective is False
    line = after.splitlines()[(found.overridden_at or 0) - 1]
    assert line.strip() == 'group["weight_decay"] = get_weight_decay(progress)'


def test_a_tuned_threshold_is_a_change_of_the_feature_it_belongs_to() -> None:
    noisy = edited(
        (
            STEP,
            "    spread = 0.01 * (1 - progress)\n    for p in model.parameters():\n"
            "        p.grad.add_(torch.randn_like(p.grad) * spread)\n" + STEP,
        )
    )
    (found,) = changes(noisy, edited(("spread = 0.01", "spread = 0.02"), source=noisy))
    assert (found.knob, found.change_type.value) == ("regularization.gradient_noise", "increase")
    assert (found.old, found.new) == ("0.01", "0.02")


def test_an_edit_the_code_only_places_is_named_by_its_message() -> None:
    after = edited(("y = flash_attn_func(q,", "y = flash_attn_func(q.roll(1, 2),"))
    plain = changes(GPT, after)
    told = changes(GPT, after, message="try qk mixing across heads")
    assert [c.knob for c in plain] == ["attention.structure"]
    assert [(c.knob, c.component) for c in told] == [("attention.qk_mixing", "attention")]


def test_a_constant_set_again_in_a_branch_acts_on_some_machines_only() -> None:
    after = edited(("\n\n@dataclass", "\nif memory() < 6:\n    DEPTH = 2\n\n\n@dataclass"))
    found = [c for c in changes(GPT, after) if c.knob == "model.depth"]
    assert [(c.old, c.new, c.change_type.value, c.effective) for c in found] == [
        ("6", "2", "decrease", None)
    ]


def test_a_port_is_one_change_and_the_constants_it_sets() -> None:
    lines = "".join(f"device_{i} = torch.cuda.get_device_name({i})\n" for i in range(45))
    after = edited(
        ("DEVICE_BATCH_SIZE = 16", "DEVICE_BATCH_SIZE = 4"),
        ("torch.manual_seed(42)\n", lines + "torch.manual_seed(42)\n"),
        ("model = torch.compile(model, dynamic=False)\n", ""),
    )
    assert {(c.knob, c.change_type.value) for c in changes(GPT, after)} == {
        ("other.environment", "no_effect"),
        ("batch.device", "decrease"),
    }


def test_scripts_of_other_kinds_keep_their_own_names() -> None:
    before = "STOP_LOSS = 0.02\nmodel = Ridge(alpha=10.0)\ntrade(model, STOP_LOSS)\n"
    after = "STOP_LOSS = 0.01\nmodel = Ridge(alpha=3.0, solver='svd')\ntrade(model, STOP_LOSS)\n"
    assert short(changes(before, after)) == [
        "other.STOP_LOSS decrease none 0.02 -> 0.01",
        "other.Ridge.alpha decrease none 10.0 -> 3.0",
        "other.Ridge.solver add none None -> svd",
    ]


def test_a_record_carries_place_and_spans() -> None:
    (found,) = changes(GPT, edited(("momentum=0.95", "momentum=0.9")))
    line = 1 + GPT[: GPT.index("momentum=0.95")].count("\n")
    assert record(found) == {
        "knob": "optimizer.muon_momentum",
        "component": "optimizer",
        "change_type": "decrease",
        "optimizer_scope": "muon",
        "old": "0.95",
        "new": "0.9",
        "silent": False,
        "effective": False,
        "path": "GPT.setup_optimizer > group matrix > momentum",
        "old_span": (line, line),
        "new_span": (line, line),
        "overridden_at": 1 + GPT[: GPT.index('group["momentum"]')].count("\n"),
    }


def test_equal_programs_have_one_fingerprint_whatever_their_layout() -> None:
    base = fingerprint('def f():\n    """Doc."""\n    return g("a", 1)  # note\n')
    assert fingerprint("def f():\n  return g( 'a',(1) )\n") == base
    assert fingerprint("def f():\n  return g('a', 2)\n") != base
    assert fingerprint("if a:\n  b()\nc()\n") != fingerprint("if a:\n  b()\n  c()\n")
    assert fingerprint("def f(:").startswith("unparsed:")
    assert fingerprint("def f(:") != fingerprint("def g(:")


def test_size_counts_code_not_comments_blank_lines_or_docstrings() -> None:
    small = 'def f():\n    """Doc\n    string."""\n\n    # note\n    return 1\n'
    assert size(small) == (2, 5)
    assert size("def f(:\n# note\n\n") == (1, 0)
    assert size("") == (0, 1)
