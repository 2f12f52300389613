"""Knobs that people set by a few lines of their own: told by name, put in and taken out."""

import pytest

from kg.changes import changes
from tests.gpt_source import GPT, edited
from tests.test_changes import STEP

HEAD = "        self.n_head = config.n_head\n"
ATTEND = "        y = flash_attn_func(q, k, v, causal=True, window_size=window_size)\n"
BATCH = "    x, y = next(loader)\n"
START = "total_time = 0\n"
EMBED = "        x = norm(self.wte(idx))\n"
SCALARS = "        self.x0_lambdas = nn.Par"
LOSS = "        return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))\n"
KNOBS = [
    (
        "attention.head_scale None",
        [(HEAD, HEAD + "        self.gain = nn.Parameter(torch.ones(config.n_head))\n"),
         (ATTEND, ATTEND + "        y = y * self.gain.view(1, 1, -1, 1)\n")],
    ),
    (
        "data.seq_len_curriculum 512",
        [(BATCH, BATCH + "    if total_time < 60:\n        x, y = x[:, :512], y[:, :512]\n")],
    ),
    (
        "optimizer.gradient_ema None",
        [(STEP, "    for n, p in model.named_parameters():\n"
          "        slow[n] = 0.9 * slow.get(n, p.grad) + 0.1 * p.grad\n"
          "        p.grad = p.grad + 2.0 * slow[n]\n" + STEP)],
    ),
    (
        "optimizer.gradient_scaling None",
        [(STEP, "    for i, block in enumerate(model.h):\n"
          "        for p in block.parameters():\n            p.grad *= 0.9 ** i\n" + STEP)],
    ),
    (
        "regularization.gradient_noise 0.01",
        [(STEP, "    sigma = 0.01\n    for p in model.parameters():\n"
          "        p.grad += sigma * torch.randn_like(p.grad)\n" + STEP)],
    ),
    (
        "regularization.pruning None",
        [(STEP, STEP + "    if step % 100 == 0:\n        for p in model.h.parameters():\n"
          "            p.data.mul_(p.abs() > p.abs().quantile(0.05))\n")],
    ),
    (
        "regularization.weight_ema 0.001",
        [(START, "shadow = [p.detach().clone() for p in model.parameters()]\n" + START),
         (STEP, STEP + "    for s, p in zip(shadow, model.parameters()):\n"
          "        s.lerp_(p, 0.001)\n")],
    ),
    (
        "position.absolute None",
        [(SCALARS, "        self.positions = nn.Parameter(torch.zeros(1024, config.n_embd))\n"
          + SCALARS),
         (EMBED, "        x = norm(self.wte(idx) + self.positions[: idx.size(1)])\n")],
    ),
    (
        "regularization.dropout.embedding 0.1",
        [(EMBED, "        x = F.dropout(norm(self.wte(idx)), p=0.1, training=self.training)\n")],
    ),
    (
        "loss.z_loss 1e-4",
        [("ADAM_BETAS =", "Z_COEF = 1e-4\nADAM_BETAS ="),
         (LOSS, LOSS.replace("return", "loss =") + "        lse = logits.logsumexp(-1)\n"
          "        return loss + Z_COEF * (lse ** 2).mean()\n")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "pairs"), KNOBS)
def test_a_knob_set_by_hand_is_told_by_its_name(wanted, pairs):
    knob, _, value = wanted.partition(" ")
    after = edited(*pairs)
    (put_in,) = changes(GPT, after)
    (taken_out,) = changes(after, GPT)
    assert (put_in.knob, str(put_in.change_type)) == (knob, "add")
    assert (taken_out.knob, str(taken_out.change_type)) == (knob, "remove")
    if value != "None":
        assert (put_in.new is None, float(put_in.new)) == (False, float(value))
