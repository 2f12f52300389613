from pathlib import Path

import pytest

from kg.changes import changes
from kg.config import configuration
from kg.fold import UNFOLDABLE
from kg.model import OptimizerScope
from tests.gpt_source import GPT, edited

SKLEARN = """
from sklearn.ensemble import RandomForestRegressor
import xgboost as xgb
SEED = 7
STOP_LOSS = 0.02
LOOKBACKS = [1, 4, 24]
params = {"max_depth": 6, "eta": 0.3, "objective": "reg:squarederror"}
model = RandomForestRegressor(n_estimators=300, max_depth=8, random_state=SEED)

def signal(frame, threshold=0.5):
    window = 20
    return frame.rolling(window).mean() > threshold
"""

NANO = """
import torch
n_layer = 12
n_embd = 768
learning_rate = 6e-4
beta1 = 0.9
weight_decay = 1e-1
grad_clip = 1.0
gradient_accumulation_steps = 5 * 8
model = build(n_layer, n_embd)
optimizer = torch.optim.AdamW(
    model.parameters(), lr=learning_rate, betas=(beta1, 0.95), weight_decay=weight_decay
)
torch.nn.utils.clip_grad_norm_(model.parameters(), grad_clip)
"""


@pytest.mark.parametrize(
    ("knob", "value", "scope"),
    [
        ("model.depth", "6", "none"),
        ("model.width", "48", "none"),
        ("batch.total", "2**16", "none"),
        ("attention.window_pattern", "SSL", "none"),
        ("attention.short_window", "long_window // 2", "none"),
        ("attention.backend", "fa3", "none"),
        ("attention.qk_norm", "qk", "none"),
        ("mlp.activation", "relu^2", "none"),
        ("mlp.expansion", "4", "none"),
        ("norm.placement", "pre", "none"),
        ("position.rope_base", "10000", "none"),
        ("head.softcap", "15", "none"),
        ("init.scale", "1", "none"),
        ("init.x0_lambda", "0.1", "none"),
        ("init.lm_head_std", "0.002", "none"),
        ("init.c_proj", "zeros", "none"),
        ("optimizer.kind", "muon+adamw", "both"),
        ("optimizer.matrix_lr", "0.02", "muon"),
        ("optimizer.unembedding_lr", "0.005", "adamw"),
        ("optimizer.adam_beta1", "0.8", "adamw"),
        ("optimizer.x0_lambda_beta1", "0.96", "adamw"),
        ("optimizer.muon_ns_steps", "5", "muon"),
        ("optimizer.lr_scale_reference", "768", "adamw"),
        ("regularization.weight_decay.matrix", "0.1", "muon"),
        ("regularization.weight_decay.lm_head", "0.0", "adamw"),
        ("schedule.lr_shape", "linear", "both"),
        ("schedule.weight_decay", "linear", "muon"),
        ("schedule.muon_momentum_start", "0.85", "muon"),
        ("schedule.muon_momentum_warmup_steps", "300", "muon"),
        ("optimizer.muon_momentum", "0.95", "muon"),
        ("evaluation.startup_exclude", "10", "none"),
        ("other.seed", "42", "none"),
    ],
)
def test_a_knob_is_found_wherever_it_lives(knob: str, value: str, scope: str) -> None:
    setting = configuration(GPT).settings[knob]
    assert (setting.value, setting.optimizer_scope.value) == (value, scope)
    assert setting.effective is True


def test_a_value_is_folded_and_its_literal_kept() -> None:
    setting = configuration(GPT).settings["batch.total"]
    assert (setting.value, setting.folded, setting.path) == ("2**16", 65536, "TOTAL_BATCH_SIZE")
    assert configuration(GPT).settings["attention.short_window"].folded == 512


def test_the_place_of_a_setting_names_its_group_and_lines() -> None:
    setting = configuration(GPT).settings["regularization.weight_decay.embedding"]
    assert setting.path == "GPT.setup_optimizer > group embedding > weight_decay"
    line = GPT.splitlines()[setting.span[0] - 1]
    assert line.strip() == "betas=adam_betas, eps=1e-10, weight_decay=0.0),"


def test_an_entry_that_the_loop_overwrites_cannot_act_and_names_the_line() -> None:
    places = configuration(GPT).places
    dead = [p for p in places if p.path.endswith("group matrix > momentum")]
    assert [p.effective for p in dead] == [False]
    assert 'group["momentum"] = ' in GPT.splitlines()[(dead[0].overridden_at or 0) - 1]


def test_defaults_that_every_call_replaces_cannot_act() -> None:
    places = {p.path: p for p in configuration(GPT).places}
    assert places["GPT.setup_optimizer(matrix_lr)"].effective is False
    assert places["Config.n_layer"].effective is False
    assert places["GPT.rotary_tables(base)"].effective is True


def test_a_constant_that_nothing_reads_cannot_act() -> None:
    unread = edited(("FINAL_LR_FRAC = 0.0", "FINAL_LR_FRAC = 0.0\nDROPOUT = 0.1"))
    settings = configuration(unread).settings
    assert settings["regularization.dropout.residual"].effective is False


def test_windows_act_where_the_kernel_takes_them_and_only_there() -> None:
    sdpa = "y = F.scaled_dot_product_attention(q, k, v, is_causal=True)"
    fa3 = "y = flash_attn_func(q, k, v, causal=True, window_size=window_size)"
    ignored = edited((fa3, sdpa))
    branches = edited((fa3, f"{fa3} if CUDA else {sdpa[4:]}"))
    effects = [
        configuration(source).settings["attention.window_pattern"].effective
        for source in (GPT, ignored, branches)
    ]
    assert effects == [True, False, None]


def test_the_update_that_step_runs_decides_the_optimizer_not_its_name() -> None:
    swapped = edited(
        ("self.step_adamw(group)", "self.step_first(group)"),
        ("self.step_muon(group)", "self.step_adamw(group)"),
        ("self.step_first(group)", "self.step_muon(group)"),
    )
    settings = configuration(swapped).settings
    assert settings["optimizer.unembedding_lr"].optimizer_scope is OptimizerScope.MUON
    assert settings["optimizer.matrix_lr"].optimizer_scope is OptimizerScope.ADAMW


def test_without_muon_groups_the_matrices_are_adamws() -> None:
    source = edited(
        ('kind="muon", params=same, lr=matrix_lr, momentum=0.95,', 'kind="adamw", params=same,'),
        ("ns_steps=5, beta2=0.95, weight_decay", "lr=matrix_lr, betas=(0.9, 0.95), weight_decay"),
    )
    settings = configuration(source).settings
    assert settings["optimizer.kind"].value == "adamw"
    for knob in ("optimizer.matrix_lr", "regularization.weight_decay.matrix"):
        assert settings[knob].optimizer_scope is OptimizerScope.ADAMW
    assert settings["schedule.warmdown_ratio"].optimizer_scope is OptimizerScope.ADAMW


def test_a_trainer_of_another_family_is_read_too() -> None:
    settings = configuration(NANO).settings
    found = {knob: settings[knob].value for knob in settings}
    assert found["model.depth"] == "12"
    assert found["optimizer.all_lr"] == "6e-4"
    assert found["optimizer.adam_beta1"] == "0.9"
    assert found["optimizer.grad_clip"] == "1.0"
    assert found["batch.grad_accum"] == "5 * 8"
    assert found["optimizer.kind"] == "adamw"
    assert settings["optimizer.all_lr"].optimizer_scope is OptimizerScope.ADAMW


def test_two_optimizers_each_rule_their_own_parameters() -> None:
    source = """
from muon import Muon
hidden = [p for p in model.blocks.parameters() if p.ndim >= 2]
lr = 0.02
first = torch.optim.Adam([dict(params=model.lm_head.parameters(), lr=0.008)], eps=1e-10)
second = Muon(hidden, lr=lr, momentum=0.95)
"""
    settings = configuration(source).settings
    assert settings["optimizer.kind"].value == "muon+adamw"
    assert settings["optimizer.matrix_lr"].value == "0.02"
    assert settings["optimizer.matrix_lr"].optimizer_scope is OptimizerScope.MUON
    assert settings["optimizer.unembedding_lr"].optimizer_scope is OptimizerScope.ADAMW
    assert settings["optimizer.muon_momentum"].value == "0.95"


def test_unknown_settings_keep_their_source_path_and_are_never_dropped() -> None:
    settings = configuration(SKLEARN).settings
    assert {knob: (s.value, s.component) for knob, s in settings.items()} == {
        "other.seed": ("7", "other"),
        "other.STOP_LOSS": ("0.02", "other"),
        "other.LOOKBACKS": ("[1, 4, 24]", "other"),
        "other.params.max_depth": ("6", "other"),
        "other.params.eta": ("0.3", "other"),
        "other.params.objective": ("reg:squarederror", "other"),
        "other.RandomForestRegressor.n_estimators": ("300", "other"),
        "other.RandomForestRegressor.max_depth": ("8", "other"),
        "other.signal.threshold": ("0.5", "other"),
        "other.signal.window": ("20", "other"),
    }


def test_annotated_and_guarded_constants_count() -> None:
    source = (
        'DEPTH: int = 8\nif __name__ == "__main__":\n    MATRIX_LR = 0.1\n    print(MATRIX_LR)\n'
    )
    settings = configuration(source).settings
    assert settings["model.depth"].value == "8"
    assert settings["optimizer.matrix_lr"].value == "0.1"


def test_a_body_in_main_counts_as_the_script() -> None:
    flat = "DEPTH = 4\nmodel = build(DEPTH)\nlr_step = 3\n"
    wrapped = "def main():\n    DEPTH = 4\n    model = build(DEPTH)\n    lr_step = 3\n\nmain()\n"
    assert list(configuration(flat).settings) == list(configuration(wrapped).settings)


def test_a_value_that_needs_a_run_is_named_but_not_folded() -> None:
    settings = configuration("BATCH_SIZE = read() * 2\n").settings
    assert settings == {} or settings["batch.device"].folded is UNFOLDABLE


@pytest.mark.parametrize("source", ["x = (", "def f(:\n", "\0", "\ud800 = 1", "x = 1\n" * 200_000])
def test_what_does_not_parse_has_no_settings(source: str) -> None:
    found = configuration(source)
    assert (found.parsed, found.settings, found.places) == (False, {}, ())


def test_an_empty_file_parses() -> None:
    assert configuration("").parsed
    assert configuration("").settings == {}


SEEDED = """import os
import torch
SEED = 42

def agrees(one, other):
    return torch.rand(4, generator=torch.Generator().manual_seed(0))

seed = int(os.environ.get("LAB_SEED") or SEED)
torch.manual_seed(seed)
"""


@pytest.mark.parametrize(
    ("old", "new", "seed"),
    [
        ("", "", 42),  # known only when it runs, but for the constant behind it
        ("torch.manual_seed(seed)", "torch.manual_seed(5)", 5),
        ("torch.manual_seed(seed)", "torch.cuda.manual_seed_all(SEED)", 42),
        ("torch.manual_seed(seed)", "", 42),
        ("SEED = 42", "", "seed"),
    ],
)
def test_the_seed_of_a_helpers_generator_is_not_the_programs(
    old: str, new: str, seed: object
) -> None:
    assert old in SEEDED
    source = SEEDED.replace(old, new)
    assert configuration(source).settings["other.seed"].folded == seed


def test_our_own_trainer_has_the_seed_it_names() -> None:
    text = (Path(__file__).parents[1] / "trainer" / "train.py").read_text()
    setting = configuration(text).settings["other.seed"]
    assert (setting.path, setting.folded) == ("SEED", 42)


def test_a_generator_speaks_where_nobody_else_does() -> None:
    source = "import torch\nmade = torch.Generator()\nmade.manual_seed(3)\n"
    assert configuration(source).settings["other.seed"].folded == 3
    (change,) = changes(SEEDED, SEEDED.replace("manual_seed(0)", "manual_seed(1)"))
    assert (change.knob, change.old, change.new) == ("other.seed", "0", "1")
