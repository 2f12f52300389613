import pytest

from kg.changes import changes, record
from kg.model import ChangeType
from tests.gpt_edits import LM_HEAD, NUMBERS, STEP, STRUCTURE, short
from tests.gpt_source import GPT, edited


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
