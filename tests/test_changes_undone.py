"""Edits undone beside another idea: which version they return to, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence

from gpt_source import GPT, edited

from kg.changes import changes

RATE = ("MATRIX_LR = 0.02", "MATRIX_LR = 0.03")
CAP = ("softcap = 15", "softcap = 30")
DEEP = ("DEPTH = 6 ", "DEPTH = 8 ")
SMOOTH = ("targets.view(-1))", "targets.view(-1), label_smoothing=0.1)")
MOMENTUM = ("momentum=0.95", "momentum=0.9")
STEPS = ("ns_steps=5", "ns_steps=4")


def told(
    versions: Sequence[str], message: str, messages: Sequence[str] = ()
) -> list[tuple[str, str, bool]]:
    """Return knob, change type and silence of the last of some versions, oldest first."""
    *earlier, before, after = versions
    history = earlier[::-1]
    found = changes(before, after, message=message, history=history, told=messages[::-1])
    return [(c.knob, c.change_type.value, c.silent) for c in found]


def test_an_older_idea_is_undone_while_the_one_after_it_stays() -> None:
    line = [GPT, edited(RATE), edited(RATE, SMOOTH), edited(CAP, SMOOTH)]
    assert told(line, "softcap 30") == [
        ("optimizer.matrix_lr", "revert", True),
        ("head.softcap", "increase", False),
    ]


def test_half_of_a_failed_idea_is_undone() -> None:
    line = [GPT, edited(RATE, SMOOTH), edited(SMOOTH, CAP)]
    assert told(line, "softcap 30") == [
        ("optimizer.matrix_lr", "revert", True),
        ("head.softcap", "increase", False),
    ]


def test_a_value_that_shares_its_line_with_the_new_idea_is_undone() -> None:
    line = [GPT, edited(MOMENTUM), edited(MOMENTUM, DEEP), edited(DEEP, STEPS)]
    assert told(line, "four Newton-Schulz steps") == [
        ("optimizer.muon_momentum", "revert", True),
        ("optimizer.muon_ns_steps", "decrease", False),
    ]


def test_an_undone_value_moved_on_at_the_same_time_is_a_change() -> None:
    third = ("MATRIX_LR = 0.02", "MATRIX_LR = 0.04")
    line = [GPT, edited(RATE, SMOOTH), edited(third)]
    assert told(line, "matrix LR 0.04") == [
        ("optimizer.matrix_lr", "increase", False),
        ("loss.label_smoothing", "revert", True),
    ]


def test_what_was_dropped_and_comes_again_is_no_revert() -> None:
    line = [GPT, edited(RATE), GPT, edited(DEEP), edited(DEEP, RATE, CAP)]
    messages = ["start", "matrix LR 0.03", "discard", "depth 8"]
    assert told(line, "best of both, softcap 30", messages) == [
        ("optimizer.matrix_lr", "increase", False),
        ("head.softcap", "increase", False),
    ]


def test_a_failure_tried_twice_is_undone_twice() -> None:
    line = [GPT, edited(RATE), GPT, edited(RATE), edited(CAP)]
    messages = ["start", "matrix LR 0.03", "discard", "matrix LR 0.03 once more"]
    assert told(line, "softcap 30", messages) == [
        ("optimizer.matrix_lr", "revert", True),
        ("head.softcap", "increase", False),
    ]


def test_a_value_tried_again_as_announced_undoes_the_rest_in_silence() -> None:
    line = [GPT, edited(RATE), edited(CAP), edited(RATE)]
    assert told(line, "retry MATRIX_LR 0.03") == [
        ("optimizer.matrix_lr", "increase", False),
        ("head.softcap", "revert", True),
    ]


def test_what_a_message_says_of_one_group_is_not_said_of_another() -> None:
    matrices = ("beta2=0.95, weight_decay=weight_decay", "beta2=0.95, weight_decay=0.05")
    head = (
        "params=[self.lm_head.weight], lr=unembedding_lr * scale,\n"
        "                 betas=adam_betas, eps=1e-10, weight_decay=0.0",
        "params=[self.lm_head.weight], lr=unembedding_lr * scale,\n"
        "                 betas=adam_betas, eps=1e-10, weight_decay=0.01",
    )
    assert told([GPT, edited(matrices), edited(head)], "lm_head weight decay 0.01") == [
        ("regularization.weight_decay.lm_head", "increase", False),
        ("regularization.weight_decay.matrix", "revert", True),
    ]


def test_an_edit_that_only_its_message_named_is_undone_under_that_name() -> None:
    heads = (
        "        return self.c_proj(y.reshape(B, T, C))",
        "        y = y + 0.1 * y.roll(1, dims=2)\n        return self.c_proj(y.reshape(B, T, C))",
    )
    tried = edited(heads)
    (idea,) = changes(GPT, tried, message="talking heads")
    plain = [c.knob for c in changes(GPT, tried)]
    undone = told([GPT, tried, edited(CAP)], "softcap 30", ["start", "talking heads"])
    assert plain != [idea.knob]
    assert (idea.knob, "revert", True) in undone
    assert len(undone) == 2


def test_numbers_that_a_message_tests_are_no_silent_reverts() -> None:
    mixed = edited(("softcap = 15\n", "softcap = 15\n        x = x * MIX_WIDE_INIT\n"))
    one, two = (mixed.replace("DEPTH = 6 ", f"MIX_WIDE_INIT = {n}\nDEPTH = 6 ") for n in (2.0, 3.0))
    deeper = one.replace("DEPTH = 6 ", "DEPTH = 8 ")
    for message in ("depth 8 with a mix of 2", "mix wide once more, depth 8"):
        found = told([one, two, deeper], message)
        assert [(kind, silent) for _, kind, silent in found] == [
            ("decrease", False),
            ("increase", False),
        ]


def test_a_value_defined_where_it_is_not_used_is_undone() -> None:
    line = [GPT, edited(CAP), edited(CAP, DEEP), edited(DEEP, STEPS)]
    assert ("head.softcap", "revert", True) in told(line, "ns steps 4")


def test_a_reapplied_idea_is_no_revert() -> None:
    message = 'Reapply "softcap 30"\n\nThis reverts commit 0123456.'
    line = [GPT, edited(CAP), GPT, edited(CAP)]
    assert told(line, message) == [("head.softcap", "increase", False)]


def test_a_restore_that_lands_on_no_earlier_version_still_reverts_what_was_edited() -> None:
    higher = ("MATRIX_LR = 0.02", "MATRIX_LR = 0.04")
    between = ("MATRIX_LR = 0.02", "MATRIX_LR = 0.025")
    line = [GPT, edited(higher), edited(higher, SMOOTH), edited(between)]
    assert told(line, "Restore a lower matrix LR") == [
        ("optimizer.matrix_lr", "revert", False),
        ("loss.label_smoothing", "revert", False),
    ]
    assert ("optimizer.matrix_lr", "decrease", False) in told(line, "revert, matrix LR 0.025")


def test_a_word_of_restoring_deep_in_a_message_makes_no_revert() -> None:
    message = "fix the learning rate\n\nThe loader is restored from its checkpoint."
    assert told([GPT, edited(RATE)], message) == [("optimizer.matrix_lr", "increase", False)]


def test_a_message_that_names_only_what_is_given_up_restores_what_was_before():
    tried = edited(("F.relu(h).square()", "F.silu(h)"))
    step = "optimizer.step()\n"
    after = edited((step, "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n    " + step))
    found = changes(
        tried, after, message="clip gradients at 1.0 (silu did not help)", history=[GPT]
    )
    back = next(c for c in found if c.knob == "mlp.activation")
    assert (str(back.change_type), back.silent) == ("revert", False)
