"""Values that are not plain numbers: constants behind names, lookups, either-or, casts."""

import pytest

from kg.changes import changes
from kg.idioms_width import as_fraction
from kg.logged import logged_names
from kg.model import ChangeType, OptimizerScope
from kg.parsing import parse
from kg.program import Program
from tests.gpt_edits import short
from tests.gpt_source import GPT, edited

COMPUTED = [
    (
        [("2**16", "2**16 if fast_gpu() else 2**14")],
        "batch.total decrease none 2**16 -> 2**16 if fast_gpu() else 2**14 *",
    ),
    (
        [("BATCH_SIZE = 16", 'BATCH_SIZE = int(os.environ.get("BATCH", "32"))')],
        "batch.device increase none 16 -> 32",
    ),
    (
        [("2**16", "tuned['batch']")],
        "batch.total replace none 2**16 -> tuned['batch']",
    ),
    (
        [
            ("DEPTH = 6  ", "WINDOW_DIVISOR = 8\nDEPTH = 6  "),
            ("long_window // 2", "long_window // WINDOW_DIVISOR"),
        ],
        "attention.short_window decrease none long_window // 2 -> long_window // 8",
    ),
    (
        [("DEPTH = 6  ", "GAIN = 0.7\nDEPTH = 6  "), ("s = 3**0.5", "s = GAIN * 3**0.5")],
        "init.scale decrease none 1 -> 0.7",
    ),
]


@pytest.mark.parametrize(("pairs", "expected"), COMPUTED)
def test_a_value_behind_a_name_or_a_test_is_still_compared(
    pairs: list[tuple[str, str]], expected: str
) -> None:
    assert short(changes(GPT, edited(*pairs))) == [expected]


def test_a_default_read_from_the_environment_is_the_same_value() -> None:
    asks = edited(("BATCH_SIZE = 16", 'BATCH_SIZE = int(os.environ.get("BATCH", "16"))'))
    assert "batch.device" not in {change.knob for change in changes(GPT, asks)}


def test_a_length_without_a_factor_is_once_that_length() -> None:
    wide = edited(
        ("self.config = config\n", "self.rotary_seq_len = config.sequence_len * 10\n"),
    )
    exact = edited((" * 10\n", "\n"), source=wide)
    assert short(changes(wide, exact)) == ["position.rotary_cache_len decrease none 10 -> 1"]


def test_an_attribute_can_take_the_width_for_its_number() -> None:
    narrow = edited(("self.n_head = config.n_head\n", "self.ve_gate_channels = 32\n"))
    wide = edited(("_channels = 32", "_channels = config.n_embd"), source=narrow)
    assert short(changes(narrow, wide)) == [
        "embedding.value_embeds.gate_channels increase none 32 -> config.n_embd"
    ]


def test_a_hidden_width_that_is_rounded_is_a_fraction_of_the_model_width() -> None:
    rounded = edited(
        (
            "self.up = nn.Linear(config.n_embd, 4 * config.n_embd, bias=False)",
            "hidden = int(8 * config.n_embd / 3)\n"
            "        hidden = (hidden + 63) // 64 * 64\n"
            "        self.up = nn.Linear(config.n_embd, hidden, bias=False)",
        ),
        ("nn.Linear(4 * config.n_embd,", "nn.Linear(hidden,"),
    )
    assert short(changes(GPT, rounded)) == ["mlp.expansion decrease none 4 -> 8/3"]
    assert as_fraction(2.5) == "2.5"


def test_a_number_written_another_way_and_a_moved_cast_change_no_knob() -> None:
    cast = edited(
        ("softcap = 15\n", "softcap = 15.0\n"),
        ("self.lm_head(x).float()", "self.lm_head(x)"),
        ("F.cross_entropy(logits.view(-1, logits.size(-1)),",
         "F.cross_entropy(logits.view(-1, logits.size(-1)).float(),"),
    )  # fmt: skip
    assert short(changes(GPT, cast)) == ["other.environment no_effect none None -> None"]


DROPOUTS = (
    ("DEPTH = 6  ", "DROPOUT = 0.1\nDEPTH = 6  "),
    ("        self.n_head = config.n_head\n",
     "        self.n_head = config.n_head\n        self.resid_drop = nn.Dropout(DROPOUT)\n"),
    ("return self.c_proj(y.reshape(B, T, C))",
     "return self.resid_drop(self.c_proj(y.reshape(B, T, C)))"),
)  # fmt: skip


def test_a_rate_and_the_dropout_that_reads_it_are_one_change() -> None:
    assert short(changes(GPT, edited(*DROPOUTS))) == [
        "regularization.dropout.residual add none None -> 0.1"
    ]


def test_a_shared_pair_of_betas_given_to_each_group_apart_is_split() -> None:
    shared = "scale,\n                 betas=adam_betas"
    own = "scale,\n                 betas=(0.8, {})"
    split = GPT.replace(f"unembedding_lr * {shared}", f"unembedding_lr * {own.format(0.9)}")
    split = split.replace(f"embedding_lr * {shared}", f"embedding_lr * {own.format(0.99)}")
    assert [(c.knob, c.change_type) for c in changes(GPT, split)] == [
        ("optimizer.adam_beta2", ChangeType.RESTRUCTURE)
    ]


def test_a_term_in_both_updates_touches_both_optimizers() -> None:
    damped = edited(
        ("1 - group[\"betas\"][0])\n", "1 - group[\"betas\"][0])\n            p.mul_(DAMPING)\n"),
        ("alpha=group[\"lr\"])\n", "alpha=group[\"lr\"])\n            p.mul_(DAMPING)\n"),
        ("DEPTH = 6  ", "DAMPING = 0.999\nDEPTH = 6  "),
    )  # fmt: skip
    (found,) = changes(GPT, damped)
    assert (found.component, found.change_type) == ("optimizer", ChangeType.ADD)
    assert found.optimizer_scope is OptimizerScope.BOTH


def test_an_option_of_the_compiler_is_part_of_the_compilation() -> None:
    tuned = edited(
        ("torch.manual_seed(42)", "torch._inductor.config.max_fusion = True\ntorch.manual_seed(42)")
    )
    assert short(changes(GPT, tuned)) == ["precision.compile_mode add none None -> True"]


def test_a_commit_that_only_edits_words_is_told_as_such() -> None:
    said = edited(("# layers", "# how many layers"))
    assert short(changes(GPT, said, message="say it better")) == [
        "other.docs no_effect none None -> None"
    ]
    wide = edited(("DEPTH = 6  ", "DEPTH  =  6  "))
    assert short(changes(GPT, wide, message="format")) == [
        "other.refactor no_effect none None -> None"
    ]
    assert changes(GPT, said) == []


def test_a_design_tried_again_under_its_usual_name_is_no_revert() -> None:
    grouped = edited(("n_kv_head=heads", "n_kv_head=max(1, heads // 2)"))
    again = edited(("softcap = 15", "softcap = 20"), source=grouped)
    found = changes(GPT, again, message="GQA with a softcap of 20", history=[grouped, GPT])
    assert {c.knob: c.change_type for c in found} == {
        "attention.n_kv_head": ChangeType.DECREASE,
        "head.softcap": ChangeType.INCREASE,
    }


SAVED = """
with open("results.json", "w") as out:
    json.dump({"loss": spread}, out)
"""


@pytest.mark.parametrize(
    "tail",
    ["print(f'steps: {step}')\n", "spread = pstdev(seen)\nprint(spread)\n", SAVED],
)
def test_what_only_ends_in_a_report_is_logging(tail: str) -> None:
    said = edited(("loss = model(x, y)\n", "loss = model(x, y)\n    seen.append(loss)\n"),
                  ("total_time = 0\n", "total_time = 0\nseen = []\n"))  # fmt: skip
    assert short(changes(GPT, said + tail)) == ["evaluation.logging add none None -> None"]
    assert short(changes(said + tail, said)) == ["evaluation.logging remove none None -> None"]


def parsed(source: str) -> Program:
    """Return a source as a program."""
    program = parse(source)
    assert program is not None
    return program


def test_a_name_the_loop_acts_on_is_not_only_logged() -> None:
    logged = logged_names(
        parsed(edited(("print(f", "spread = loss.std()\nprint(spread)\nprint(f")))
    )
    assert "spread" in logged
    assert not {"step", "progress", "total_time"} & logged


def test_another_kernel_and_what_fetches_it_are_one_change() -> None:
    chosen = edited(
        ("DEPTH = 6  ", "USE_FLASH = capable()\nrepo = found(USE_FLASH)\nDEPTH = 6  "),
        ("y = flash_attn_func(q, k, v, causal=True, window_size=window_size)",
         "y = (flash_attn_func(q, k, v, window_size=window_size) if USE_FLASH\n"
         "             else F.scaled_dot_product_attention(q, k, v, is_causal=True))"),
    )  # fmt: skip
    assert short(changes(GPT, chosen)) == ["attention.backend replace none fa3 -> sdpa"]


def test_compilation_taken_out_is_switched_off() -> None:
    plain = edited(("model = torch.compile(model, dynamic=False)\n", ""))
    assert short(changes(GPT, plain)) == ["precision.compile disable none dynamic=False -> False"]


UP = "self.up = nn.Linear(config.n_embd, 4 * config.n_embd, bias=False)"
DOWN = "self.down = nn.Linear(4 * config.n_embd, config.n_embd, bias=False)"


def test_a_hidden_width_in_tiles_is_the_fraction_it_was_made_from() -> None:
    tiled = edited(
        (UP, "tiles = round(8 * config.n_embd / 3 / 128)\n"
             "        hidden = 128 * tiles\n        " + UP.replace("4 * config.n_embd", "hidden")),
        (DOWN, DOWN.replace("4 * config.n_embd", "hidden")),
    )  # fmt: skip
    assert short(changes(GPT, tiled)) == ["mlp.expansion decrease none 4 -> 8/3"]


def test_a_width_by_layer_shows_what_differs() -> None:
    by_layer = edited(
        (UP, "times = 5 if layer_idx > 2 else 3\n        "
             + UP.replace("4 * config", "times * config")),
        (DOWN, DOWN.replace("4 * config", "times * config")),
        ("    def __init__(self, config):\n        super().__init__()\n        times",
         "    def __init__(self, config, layer_idx):\n        super().__init__()\n        times"),
        ("FeedForward(config)", "FeedForward(config, layer_idx)"),
    )  # fmt: skip
    assert short(changes(GPT, by_layer)) == [
        "mlp.expansion restructure none 4 -> 5 if layer_idx > 2 else 3"
    ]


LOSSES = [
    ("loss = loss + 0.3 * F.cross_entropy(logits[:, :-1].flatten(0, 1), targets[:, 1:].flatten())",
     "loss.auxiliary add none None -> 0.3"),
    ("loss = F.cross_entropy(logits, targets, label_smoothing=0.1 if self.training else 0.0)",
     "loss.label_smoothing add none None -> 0.1"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), LOSSES)
def test_the_weight_of_a_term_of_the_loss_is_its_value(line: str, expected: str) -> None:
    plain = edited(
        ("        return F.cross_entropy(", "        loss = F.cross_entropy("),
        ("targets.view(-1))\n", "targets.view(-1))\n        return loss\n"),
    )
    weighted = edited(
        ("        return loss\n", f"        {line}\n        return loss\n"), source=plain
    )
    assert short(changes(plain, weighted)) == [expected]


def test_a_reset_to_a_start_older_than_the_history_is_one_change() -> None:
    far = edited(("2**16", "2**15"), ("DEPTH = 6  ", "DEPTH = 9  "), ("(0.8, 0.95)", "(0.9, 0.99)"))
    found = changes(far, GPT, message="reset train.py to the original for a new run")
    assert [(c.knob, c.change_type) for c in found] == [("other.reset", ChangeType.REVERT)]


def test_a_default_of_an_unknown_parameter_is_an_edit_of_its_own() -> None:
    text = "import torch\ndef spread(x, folds=5):\n    return x * folds\nspread(torch.ones(3))\n"
    (change,) = changes(text, text.replace("folds=5", "folds=6"), message="more folds")
    assert (change.knob, change.old, change.new) == ("other.spread.folds", "5", "6")


@pytest.mark.parametrize("use", ["print('score:', score(model, {}))", "loss = {} * step(model)"])
def test_an_unknown_constant_stays_a_knob_wherever_it_is_read(use: str) -> None:
    before = "FOLDS = 10\ndef main():\n    " + use.format("FOLDS") + "\nmain()\n"
    (change,) = changes(before, before.replace("= 10", "= 20"))
    assert (change.knob, change.change_type) == ("other.FOLDS", ChangeType.INCREASE)
