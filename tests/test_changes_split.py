"""What is split over groups, said in the loop, or stands side by side: one record each."""

import pytest

from kg.changes import changes
from tests.gpt_edits import short
from tests.gpt_source import GPT, edited
from tests.test_changes_structural import SHELL

HEAD_GROUP = "lr=unembedding_lr * scale,\n                 betas=adam_betas"
GATED = edited(
    ("        self.n_head = config.n_head\n",
     "        self.n_head = config.n_head\n        self.ve_gate_channels = 16\n"
     "        self.ve_gate = nn.Linear(self.ve_gate_channels, config.n_head, bias=False)\n"),
    ("        v = self.c_v(x).view(B, T, self.n_head, -1)\n",
     "        v = self.c_v(x).view(B, T, self.n_head, -1)\n"
     "        open_ = 2 * torch.sigmoid(self.ve_gate(x[..., : self.ve_gate_channels]))\n"
     "        v = v + open_.unsqueeze(-1) * ve\n"),
    ("            nn.init.zeros_(block.attn.c_proj.weight)\n",
     "            nn.init.zeros_(block.attn.c_proj.weight)\n"
     "            nn.init.zeros_(block.attn.ve_gate.weight)\n"),
)  # fmt: skip


def test_betas_of_its_own_for_one_group_split_the_shared_ones():
    own = edited((HEAD_GROUP, HEAD_GROUP.replace("adam_betas", "(0.8, 0.99)")))
    (change,) = changes(GPT, own)
    assert (change.knob, str(change.change_type)) == ("optimizer.adam_beta2", "restructure")


def test_a_shared_beta_that_each_group_says_for_itself_has_not_gone():
    alone = GPT.replace("betas=adam_betas", "betas=(0.8, 0.99)").replace(
        ", adam_betas=(0.9, 0.9)", ""
    )
    alone = alone.replace(" adam_betas=ADAM_BETAS,", "").replace("ADAM_BETAS = (0.8, 0.95)\n", "")
    assert "optimizer.adam_beta1" not in {change.knob for change in changes(GPT, alone)}


def test_a_gate_taken_out_is_one_record():
    plain = edited(
        ("        self.ve_gate_channels = 16\n"
         "        self.ve_gate = nn.Linear(self.ve_gate_channels, config.n_head, bias=False)\n",
         ""),
        ("        open_ = 2 * torch.sigmoid(self.ve_gate(x[..., : self.ve_gate_channels]))\n"
         "        v = v + open_.unsqueeze(-1) * ve\n", "        v = v + ve\n"),
        ("            nn.init.zeros_(block.attn.ve_gate.weight)\n", ""),
        source=GATED,
    )  # fmt: skip
    assert short(changes(GATED, plain)) == [
        "embedding.value_embeds.gate_channels remove none 16 -> None"
    ]


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ('= get_weight_decay(progress)', "= WEIGHT_DECAY * progress**2",
         "schedule.weight_decay replace muon"),
        ("torch.compile(model, dynamic=False)",
         'torch.compile(model, dynamic=True, mode="max-autotune")',
         "precision.compile_mode add none"),
        ("    left = (1 - progress) / WARMDOWN_RATIO\n",
         "    decay_frac = 1 - (1 - progress) / WARMDOWN_RATIO\n"
         "    left = 1 - decay_frac ** 0.5\n",
         "schedule.lr_shape replace both"),
        ("    def __init__(self, config):\n        super().__init__()\n        self.config",
         "    def __init__(self, config):\n        super().__init__()\n"
         "        self.first = nn.RMSNorm(config.n_embd)\n        self.config",
         "norm.kind add none"),
    ],
)  # fmt: skip
def test_code_is_named_by_what_it_does(old, new, wanted):
    (change,) = changes(GPT, edited((old, new)))
    assert f"{change.knob} {change.change_type} {change.optimizer_scope}" == wanted


def test_fields_side_by_side_are_settings_of_their_own():
    after = SHELL.replace("10000.0", "20000.0").replace('"0.0"', '"0.2"')
    assert [c.knob for c in changes(SHELL, after)] == [
        "position.rope_base",
        "schedule.final_lr_frac",
    ]


def test_a_branch_that_returns_two_values_is_still_the_branch():
    two = edited(
        ("x = x + self.attn(norm(x), cos, sin, window_size)",
         "out, _ = self.attn(norm(x), cos, sin, window_size)\n        x = x + out"),
        ("        return self.c_proj(y.reshape(B, T, C))",
         "        return self.c_proj(y.reshape(B, T, C)), None"),
    )  # fmt: skip
    assert "norm.placement" not in {change.knob for change in changes(GPT, two)}


def test_a_constant_made_a_setting_of_the_shell_is_the_same_constant():
    shell = GPT.replace("DEPTH = 6 ", 'DEPTH = int(os.environ.get("DEPTH", "6")) ')
    fixed = GPT + "TOTAL_STEPS = 2390\n"
    open_ = GPT + 'TOTAL_STEPS = int(os.environ.get("TOTAL_STEPS", "2390"))\n'
    assert [c.knob for c in changes(GPT, shell)] == ["other.refactor"]
    assert [c.knob for c in changes(fixed, open_)] == ["other.refactor"]


def test_a_gate_after_an_attention_of_the_file_s_own_is_read():
    call = "        y = flash_attn_func(q, k, v, causal=True, window_size=window_size)\n"
    own = edited((call, "        y = attend(q, k, v, window_size)\n"))
    gated = edited(
        ("        y = attend(q, k, v, window_size)\n",
         "        y = attend(q, k, v, window_size)\n"
         "        valve = torch.sigmoid(self.valve(x))\n        y = y * valve.unsqueeze(-1)\n"),
        ("        self.n_head = config.n_head\n",
         "        self.n_head = config.n_head\n"
         "        self.valve = nn.Linear(config.n_embd, config.n_head)\n"),
        source=own,
    )  # fmt: skip
    assert [c.knob for c in changes(own, gated)] == ["attention.head_scale"]


def test_decay_that_follows_the_rate_shows_both_sides():
    loop = edited(
        ('group["weight_decay"] = get_weight_decay(progress)',
         'group["weight_decay"] = WEIGHT_DECAY * get_lr_multiplier(progress)'),
    )  # fmt: skip
    (change,) = changes(GPT, loop)
    assert (change.old, change.new) == (
        "WEIGHT_DECAY * (1 - progress)",
        "WEIGHT_DECAY * get_lr_multiplier(progress)",
    )
