"""Values that are not plain numbers: constants behind names, lookups, either-or, casts."""

import pytest

from kg.changes import changes
from kg.idioms_activation import as_fraction
from tests.gpt_source import GPT, edited
from tests.test_changes import short

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
