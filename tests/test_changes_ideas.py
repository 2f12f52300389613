"""Ideas whose code has no word for them: told by the shape of the code, or by the message."""

import pytest

from kg.changes import changes
from kg.config import configuration
from tests.gpt_edits import LOSS, STEP
from tests.gpt_source import GPT, edited

UP = "        self.up = nn.Linear(config.n_embd, 4 * config.n_embd, bias=False)\n"
DOWN = "        self.down = nn.Linear(4 * config.n_embd, config.n_embd, bias=False)\n"
PASS = "        h = self.up(x)\n        h = F.relu(h).square()\n        return self.down(h)\n"
ACT = "        h = F.relu(h).square()\n"
ATTEND = "        y = flash_attn_func(q, k, v, causal=True, window_size=window_size)\n"
BLOCK_CALL = "            x = block(x, self.cos, self.sin, self.windows[i])\n"
TERM = LOSS.replace("return", "loss =")


def told(before, after, message=""):
    return [f"{c.knob} {c.change_type}" for c in changes(before, after, message=message)]


@pytest.mark.parametrize(
    ("wanted", "pairs"),
    [
        ("mlp.activation replace",
         [(UP + DOWN, "        self.net = nn.Sequential(\n"
           "            nn.Linear(config.n_embd, 4 * config.n_embd), nn.GELU(),\n"
           "            nn.Linear(4 * config.n_embd, config.n_embd))\n"),
          (PASS, "        return self.net(x)\n")]),
        ("mlp.activation replace", [(ACT, "        h = torch.where(h > 0, h * h, 0.1 * h)\n")]),
        ("mlp.sparsity add", [(ACT, ACT + "        h = h * (h > h.mean(-1, keepdim=True))\n")]),
        ("mlp.homeostatic_plasticity add",
         [(DOWN, DOWN + '        self.register_buffer("act_ema", torch.ones(4))\n'),
          (ACT, ACT + "        self.act_ema.lerp_(h.detach().mean((0, 1)), 0.01)\n"
           "        h = h * (0.1 / (self.act_ema + 1e-3)).clamp(0.5, 2.0).to(h.dtype)\n")]),
        ("mlp.moe add",
         [(DOWN, DOWN + "        self.choose = nn.Linear(config.n_embd, 2)\n"),
          (PASS, "        share = torch.softmax(self.choose(x), dim=-1)\n        out = 0\n"
           "        for i in range(2):\n            h = F.relu(self.up(x)).square()\n"
           "            out = out + share[..., i : i + 1] * self.down(h)\n        return out\n")]),
        ("attention.temperature add", [(ATTEND, ATTEND.replace("(q,", "(q * 1.2,"))]),
        ("attention.structure add",
         [(ATTEND, ATTEND + "        vn = F.normalize(v, dim=-1)\n"
           "        y = y - (y * vn).sum(-1, keepdim=True) * vn\n")]),
        ("residual.unet_skip add",
         [(BLOCK_CALL, "            if i >= 3:\n                x = x + early.pop()\n"
           + BLOCK_CALL + "            if i < 3:\n                early.append(x)\n")]),
        ("loss.z_loss add",
         [(LOSS, TERM + "\n        z = torch.log(torch.exp(logits).sum(-1))\n"
           "        return loss + 1e-4 * (z * z).mean()")]),
        ("loss.label_smoothing add",
         [(LOSS, TERM + "\n        logp = F.log_softmax(logits, dim=-1)\n"
           "        return 0.9 * loss - 0.1 * logp.mean()")]),
        ("optimizer.grad_clip add",
         [(STEP, "    for p in model.parameters():\n        p.grad.clamp_(-1.0, 1.0)\n" + STEP)]),
        ("optimizer.grad_clip add",
         [(STEP, "    norm = sum(p.grad.norm() ** 2 for p in model.parameters()) ** 0.5\n"
           "    for p in model.parameters():\n        p.grad.mul_(1.0 / norm)\n" + STEP)]),
        ("optimizer.gradient_centralization add",
         [(STEP, "    for p in model.parameters():\n"
           "        p.grad -= p.grad.mean(dim=1, keepdim=True)\n" + STEP)]),
        ("regularization.weight_ema add",
         [(STEP, STEP + "    if step > 100:\n"
           "        for n, p in model.named_parameters():\n"
           "            avg_state[n].add_((p - avg_state[n]) / (step - 99))\n")]),
        ("head.softcap replace",
         [("softcap * torch.tanh(logits / softcap)",
           "logits / torch.sqrt(1 + (logits / softcap) ** 2)")]),
    ],
)  # fmt: skip
def test_an_idea_is_told_by_its_shape(wanted, pairs):
    assert told(GPT, edited(*pairs)) == [wanted]


@pytest.mark.parametrize(
    ("wanted", "message", "pairs"),
    [
        ("optimizer.hebbian_lr add", "Hebbian update of the MLP",
         [("        h = self.up(x)\n", "        self.pre = x.detach()\n        h = self.up(x)\n")]),
        ("mlp.homeostatic_plasticity add", "synaptic scaling of rows",
         [(STEP, STEP + "    for b in model.h:\n        n = b.mlp.up.weight.norm(dim=1)\n"
           "        b.mlp.up.weight.mul_((n.mean() / n)[:, None])\n")]),
    ],
)  # fmt: skip
def test_what_code_does_not_name_a_message_names_wherever_it_is(wanted, message, pairs):
    assert told(GPT, edited(*pairs), message) == [wanted]


def test_a_sum_over_experts_is_the_activation_of_one_of_them():
    looped = edited((PASS, "        out = 0\n        for up in self.ups:\n"
                     "            out = out + F.relu(up(x)).square()\n"
                     "        return out\n"))  # fmt: skip
    squared = edited(("F.relu(up(x)).square()", "F.gelu(up(x))"), source=looped)
    (change,) = changes(looped, squared)
    assert (change.old, change.new) == ("relu^2", "gelu")


def test_of_two_equal_tests_the_new_one_is_that_with_something_new_in_it():
    tested = edited((STEP, STEP + "    if step == 0:\n        gc.collect()\n"))
    marked = edited(
        (STEP, "    if step == 0:\n        grad_avg = [p.grad.clone() for p in params]\n"
         "    for a, p in zip(grad_avg, params):\n        a.mul_(0.9).add_(p.grad, alpha=0.1)\n"
         "        p.grad.add_(a)\n" + STEP),
        source=tested,
    )  # fmt: skip
    assert told(tested, marked) == ["optimizer.gradient_ema add"]


TABLES = "        self.value_embeds = nn.ModuleDict({str(i): nn.Embedding(9, 9) for i in (1, 3)})\n"
LOOKED_UP = "            v = self.value_embeds[str(i)](idx) if i in (1, 3) else None\n"


def test_the_last_layer_that_loses_its_value_embeddings_takes_them_out():
    head = "        self.lm_head = nn.Linear(config"
    with_tables = edited((head, TABLES + head), (BLOCK_CALL, LOOKED_UP + BLOCK_CALL))
    assert told(with_tables, GPT) == ["embedding.value_embeds remove"]
    fewer = with_tables.replace("for i in (1, 3)}", "for i in (3,)}")
    assert told(with_tables, fewer) == ["embedding.value_embeds.placement replace"]


def test_running_the_same_layers_once_more_is_a_loop():
    again = "        x = self.run_layers(x, 2, 4)\n"
    once = edited(
        ("        x = norm(x)\n        softcap", again + "        x = norm(x)\n        softcap")
    )
    assert told(once, once.replace(again, again + again)) == ["model.layer_loops add"]


def test_a_table_of_other_shape_is_not_tied_to_a_neighbour_by_torch():
    skips = edited(("        self.x0_lambdas = nn.Parameter(torch.zeros(config.n_layer))\n",
                    "        self.x0_lambdas = nn.Parameter(torch.zeros(config.n_layer))\n"
                    "        self.skip_weights = nn.Parameter(torch.ones(config.n_layer))\n")
    )  # fmt: skip
    wide = edited(("self.x0_lambdas = nn.Parameter(torch.zeros(config.n_layer))",
                   "self.x0_lambdas = nn.Parameter(torch.zeros(config.n_layer, config.n_embd))"),
                  source=skips)  # fmt: skip
    assert [c.component for c in changes(skips, wide)] == ["residual"]
    assert "unet" not in told(skips, wide)[0]


def test_what_is_taken_and_returned_with_a_feature_is_not_the_feature():
    pair = edited(("return self.down(h)", "return self.down(h), aux_loss"),
                  ("x = x + self.mlp(norm(x))", "out, aux_loss = self.mlp(norm(x))\n"
                   "        x = x + out"))  # fmt: skip
    three = pair.replace("down(h), aux_loss", "down(h), aux_loss, h").replace(
        "out, aux_loss =", "out, aux_loss, h ="
    )
    made = [
        {place.knob: place.parts for place in configuration(source).places}["loss.auxiliary"]
        for source in (pair, three)
    ]
    assert made[0] == made[1] != frozenset()


OPTION = 'parser.add_argument("--mtp-weight", default=0.3, help="usual: 0.4")\n'


def test_a_help_text_says_nothing_and_an_option_goes_with_what_reads_it():
    asked = "import argparse\nparser = argparse.ArgumentParser()\n" + OPTION + GPT
    assert told(asked, asked.replace("usual: 0.4", "usual: 0.2")) == []
    bare = "import argparse\nparser = argparse.ArgumentParser()\n" + GPT
    turned = OPTION.replace("mtp-weight", "turn-share")
    mixed = edited(
        ("import argparse\nparser = argparse.ArgumentParser()\n",
         "import argparse\nparser = argparse.ArgumentParser()\n" + turned),
        (BLOCK_CALL, BLOCK_CALL + "            x = x + args.turn_share * x.roll(1, dims=1)\n"),
        source=bare,
    )  # fmt: skip
    assert [c.component for c in changes(bare, mixed)] == ["residual"]


def test_first_values_and_rates_of_new_weights_are_part_of_what_brings_them():
    after = edited(
        ("        self.windows = self.",
         "        self.resid_lambdas = nn.Parameter(torch.ones(6))\n        self.windows = self."),
        ("        self.x0_lambdas.fill_(0.1)\n", "        self.x0_lambdas.fill_(0.1)\n"
         "        self.resid_lambdas.fill_(1.0)\n"),
        ("            x = x + self.x0_lambdas[i] * x0\n",
         "            x = self.resid_lambdas[i] * x + self.x0_lambdas[i] * x0\n"),
    )  # fmt: skip
    (change,) = changes(GPT, after)
    assert (change.component, str(change.change_type)) == ("residual", "add")


def test_initial_values_of_a_feature_are_not_the_feature():
    routed = edited(("        self.windows = self.",
                     "        self.router = nn.Linear(256, 4)\n        self.windows = self."),
                    (BLOCK_CALL, BLOCK_CALL + "            x = x + self.router(x).sum()\n"),
                    ("        self.x0_lambdas.fill_(0.1)\n", "        self.x0_lambdas.fill_(0.1)\n"
                     "        nn.init.zeros_(self.router.weight)\n"))  # fmt: skip
    drawn = edited(("zeros_(self.router", "normal_(self.router"), source=routed)
    assert [c.component for c in changes(routed, drawn)] == ["initialization"]
