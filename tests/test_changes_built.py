"""Ideas told by what they are built of, and edits that stay apart from what they stand beside."""

import pytest

from kg.changes import changes
from tests.gpt_edits import STEP
from tests.gpt_source import GPT, edited
from tests.test_changes_ideas import ACT, ATTEND, BLOCK_CALL, LOOKED_UP, TABLES, told

ROTATE = "        q, k = rotary(q, cos, sin), rotary(k, cos, sin)\n"
JOIN = ("        x = x + self.attn(norm(x), cos, sin, window_size)\n"
        "        x = x + self.mlp(norm(x))\n")  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "pairs"),
    [
        ("attention.every_n_layers add",
         [(BLOCK_CALL, "            if i in (2, 4):\n                x = x + block.mlp(norm(x))\n"
           "            else:\n    " + BLOCK_CALL)]),
        ("attention.temperature add",
         [(ROTATE, ROTATE + "        q = q * (self.n_head ** 0.5) * 0.12\n")]),
        ("attention.backend replace",
         [(ATTEND, "        y = ((q @ k.mT).tril().softmax(-1) @ v)\n")]),
        ("residual.parallel_block enable",
         [(JOIN, "        h = norm(x)\n"
           "        a, m = self.attn(h, cos, sin, window_size), self.mlp(h)\n"
           "        x = x + a + m\n")]),
        ("precision.activation_checkpointing enable",
         [(JOIN, JOIN.replace("self.mlp(norm(x))", "checkpoint(self.mlp, norm(x))"))]),
        ("model.layer_loops add",
         [("enumerate(self.h)", "enumerate(list(self.h) + list(self.h)[-2:])")]),
        ("model.layer_loops add",
         [("nn.ModuleList([Block(config, i) for i in range(config.n_layer)])",
           "nn.ModuleList([b for i in range(3) for b in [Block(config, i)] * 2])")]),
        ("mlp.sparsity add",
         [(ACT, ACT + "        keep = h.abs() > h.abs().mean(-1, keepdim=True)\n"
           "        h = h * keep\n")]),
        ("mlp.sparsity add",
         [(ACT, ACT + "        edge = torch.quantile(h.float(), 0.7, dim=-1, keepdim=True)\n"
           "        h = F.relu(h - edge)\n")]),
        ("regularization.gradient_noise add",
         [(STEP, "    for p in model.parameters():\n"
           "        p.grad.add_(torch.normal(0.0, 0.01 / (1 + step) ** 0.5, p.shape))\n" + STEP)]),
        ("data.seq_len_curriculum add",
         [("total_time = 0\n",
           'short = make_loader(tokenizer, 64, MAX_SEQ_LEN // 4, "train")\ntotal_time = 0\n'),
          (STEP, "    loader = short if total_time < 60 else loader\n" + STEP)]),
        ("head.logit_temperature add",
         [("self.lm_head(x).float()", "self.lm_head(x).float() * (768 / self.config.n_embd)")]),
        ("regularization.dropout.embedding add",
         [("        x0 = x\n", "        x = x * torch.bernoulli(torch.full_like(x, 0.9))\n"
           "        x0 = x\n")]),
    ],
)  # fmt: skip
def test_an_idea_is_told_by_what_it_is_built_of(wanted, pairs):
    assert told(GPT, edited(*pairs)) == [wanted]


def test_a_local_that_gets_another_name_changes_nothing():
    renamed = GPT.replace("        h = ", "        hidden = ").replace("(h)", "(hidden)")
    assert told(GPT, renamed, "try it") == ["other.refactor no_effect"]


def test_tables_of_a_class_that_gets_another_name_are_the_same_tables():
    table = 'class Muon:\n    def ranks(self):\n        self.label_ranks = {"attn": 3, "mlp": 4}\n'
    named = GPT + table + "\n\nOPT = Muon()\n"
    found = changes(
        named, named.replace("Muon()", "NorMuon()").replace("class Muon", "class NorMuon")
    )
    assert not [c.knob for c in found if "ranks" in c.knob]


def test_gradients_in_the_loop_are_no_part_of_the_model():
    back = "    loss.backward()\n"
    sloped = edited((ATTEND, ATTEND + "        y = y + self.alibi_slopes * ws_long\n"),
                    (back, "    ws_long = step\n" + back))  # fmt: skip
    scaled = edited((back, "    (loss / ws_long).backward()\n"), source=sloped)
    assert [c.component for c in changes(sloped, scaled)] == ["optimizer"]


def test_where_all_edits_since_still_stand_nothing_is_undone():
    saved = edited((STEP, STEP + '    torch.save(model.state_dict(), "a.pt")\n'))
    tuned = edited(("MATRIX_LR = 0.02", "MATRIX_LR = 0.03"), source=saved)
    moved = edited(("    torch.save(model.state_dict(), \"a.pt\")\n", "    keep(model)\n"),
                   ("total_time = 0\n", "def keep(model):\n    torch.save(model, path)\n\n\n"
                    "total_time = 0\n"), source=tuned)  # fmt: skip
    found = changes(tuned, moved, message="Refactor saving", history=[saved, GPT], told=["x", "y"])
    assert [f"{c.knob} {c.change_type}" for c in found] == ["other.refactor no_effect"]


@pytest.mark.parametrize(
    ("wanted", "pairs"),
    [
        ("residual.parallel_block enable",
         [(JOIN, "        kept = x\n        x = norm(x)\n"
           "        x = kept + self.attn(x, cos, sin, window_size) + self.mlp(x)\n")]),
        ("embedding.tying enable",
         [("        self.x0_lambdas = nn.P",
           '        self.lm_head.weight = self.parts["wte"].weight\n'
           "        self.x0_lambdas = nn.P")]),
        ("model.layer_loops add",
         [("        for i, block in enumerate(self.h):\n",
           "        order = list(range(6)) + list(range(3, 6))\n        for i in order:\n"
           "            block = self.h[i]\n")]),
    ],
)  # fmt: skip
def test_an_idea_is_told_however_the_loop_is_written(wanted, pairs):
    assert told(GPT, edited(*pairs)) == [wanted]


def test_a_wave_on_the_rate_is_another_shape_of_it():
    rate = 'group["initial_lr"] * get_lr_multiplier(progress)'
    head = "    for group in optimizer.param_groups:\n"
    named = edited((rate, 'group["initial_lr"] * lrm'),
                   (head, "    lrm = get_lr_multiplier(progress)\n" + head))  # fmt: skip
    waved = edited((head, "    lrm *= 1.0 + 0.1 * math.sin(60 * progress)\n" + head), source=named)
    assert told(named, waved) == ["schedule.lr_shape replace"]


def test_a_table_put_in_for_several_layers_is_shared():
    made = "        for i in (1, 3, 5):\n            table = nn.Embedding(9, 9)\n"
    shared = ("        self.value_embeds = nn.ModuleDict()\n" + made
              + "            self.value_embeds[str(i)] = table\n")  # fmt: skip
    head = "        self.lm_head = nn.Linear(config"
    before = edited((head, TABLES + head), (BLOCK_CALL, LOOKED_UP + BLOCK_CALL))
    after = before.replace(TABLES, shared)
    assert told(before, after) == ["embedding.value_embeds.sharing enable"]


def test_a_gain_set_to_zero_is_a_gain_filled_with_zero():
    (change,) = changes(GPT, GPT.replace("self.x0_lambdas.fill_(0.1)", "self.x0_lambdas.zero_()"))
    assert (change.knob, str(change.change_type)) == ("init.x0_lambda", "decrease")


def test_code_rewritten_without_a_value_is_what_the_message_says_it_is():
    shorter = edited(("    return F.rms_norm(x, (x.size(-1),))\n",
                      "    width = x.size(-1)\n    return F.rms_norm(x, (width,))\n"))  # fmt: skip
    assert told(GPT, shorter, "refactor norm") == ["other.refactor no_effect"]


def test_locals_of_locals_do_not_double_with_each_line():
    chain = "        a0 = self.w(x)\n" + "".join(
        f"        a{i + 1} = a{i} * a{i}\n" for i in range(60)
    )
    assert changes(GPT, edited((JOIN, chain + JOIN)))  # 2**60 pieces, were each put in the next
