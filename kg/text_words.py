"""The grammar of experiment messages: verbs, comparatives, openers of context.

English, with the Dutch words that occur in real histories. Domain names are not here: they
are concepts of lexicon.ttl. Every word is a lemma of kg.text_lemmas.
"""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


INCREASE = words(
    """
    additional amplify another append bigger boost breder bump deepen deeper dieper double
    enlarge expand extend extra finer greater groter grow heavier higher hoger increase langer
    larger lengthen lift longer looser meer more quadruple raise richer scale_up slower stack
    strengthen stronger triple up verdubbel vergroot verhoog verleng widen wider
    """
)
DECREASE = words(
    """
    cut decrease dial_back down faster fewer gentler halve halveer kleiner korter lager less
    lessen lighter lower milder minder narrow narrower ondieper quarter reduce scale_down
    shallower shorten shorter shrink smaller softer squeeze tighten tighter trim verklein
    verkort verlaag weaken weaker
    """
)
ADD = words(
    """
    add apply attach bring implement include incorporate inject insert introduce
    introduceer new toevoegen voeg
    """
)
REMOVE = words(
    """
    ablate delete discontinue drop eliminate exclude geen get_rid_of kill no omit prune remove
    schrap skip strip verwijder w/o without zap zero_out zonder
    """
)
ENABLE = words(
    """
    activate allow enable inschakelen reenable turn_on
    """
)
DISABLE = words(
    """
    deactivate disable off turn_off uit uitschakelen
    """
)
REPLACE = words(
    """
    change convert exchange redistribute replace substitute swap switch vervang wijzig wissel
    """
)
RESTRUCTURE = words(
    """
    decouple differentiate individually per_layer separate split unfuse
    """
)
REVERT = words(
    """
    back back_to discard go_back herstel put_back reinstate reset restore return_to revert
    roll_back rollback terug undo unrevert
    """
)
NEUTRAL = words(
    """
    adjust check choose experiment explore force gebruik give go investigate let make modify
    move pick probeer put retest retry retune revisit run set sweep switch_to test try tune
    tweak update use with_ zet
    """
)
"""Verbs that say nothing about what happens to their object."""
KEEP = words(
    """
    behoud fixed gelijk hold holding keep keeping maintain same still unchanged zelfde
    """
)
COMPARATIVES = words(
    """
    additional another bigger breder deeper dieper extra faster fewer gentler greater groter
    heavier higher hoger kleiner korter lager langer larger less lighter longer looser meer
    milder minder more narrower ondieper shallower shorter slower smaller softer stronger
    tighter weaker wider
    """
)
"""Adjectives that give a direction to the noun they stand before."""
CONTEXT = words(
    """
    above across after against allow allowing along are around as because before below beside
    besides between bij but can could despite door due during expect expecting for from given
    helps hope hoping if in into is like maybe met might need om omdat on once op over per save
    saving should since so than thanks that these this through toward towards under until using
    versus via voor vs want was were when where which while will with within would zodat
    """
)
"""Words after which a segment states a condition or a reason, not a change."""
METRICS = words(
    """
    accuracy bpb flop loss mae memory mfu outcome parameters params perplexity ppl result rmse
    runtime score sharpe speed throughput tok val val_bpb valbpb vram
    """
)
NOTHING = words(
    """
    a all an and as attempt baseline branch commit control default experiment first for initial
    is keep kept log main master merge new no of pull record request result results run session
    start test the to trial unchanged update wip
    """
)
"""A text of only these words names no change: it is neither a claim nor unresolved."""
COSTLIER = words(
    """
    big costly deep expensive heavy high huge large long many oom slow slower undertrained wide
    """
)
CHEAPER = words(
    """
    cheap cheaper coarse fast faster few little low narrow shallow short small tiny weak
    """
)
COST_KNOBS = words(
    """
    attention.head_dim attention.n_kv_head attention.short_window batch.device batch.total
    mlp.expansion model.depth model.layer_loops model.width
    """
)
"""Knobs whose larger value costs time: "(slower)" and "(too few steps)" mean it went up."""
NUMBER_WORDS = {
    "zero": 0.0, "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0,
    "seven": 7.0, "eight": 8.0, "nine": 9.0, "ten": 10.0, "twelve": 12.0, "sixteen": 16.0,
    "single": 1.0, "twee": 2.0, "drie": 3.0, "vier": 4.0, "nul": 0.0,
}  # fmt: skip
FACTORS = {
    "halve": 0.5, "half": 0.5, "double": 2.0, "triple": 3.0, "quadruple": 4.0, "quarter": 0.25,
    "twice": 2.0, "halveer": 0.5, "verdubbel": 2.0, "thirds": 1 / 3,
}  # fmt: skip
"""Words that multiply the old value."""
EXCESS = {
    "deep": frozenset({"model.depth"}), "shallow": frozenset({"model.depth"}),
    "wide": frozenset({"model.width", "mlp.expansion"}),
    "narrow": frozenset({"model.width", "mlp.expansion"}),
}  # fmt: skip
"""Excesses that speak of one thing: "(too narrow)" says nothing about the depth."""
COST_UP = ("too few step", "fewer step", "less step", "slower", "oom", "out of memory")
COST_DOWN = ("more step", "faster", "speed up", "more token", "more update", "max update")
PHRASES: dict[tuple[str, ...], str] = {
    ("instead", "of"): "insteadof", ("rather", "than"): "insteadof",
    ("in", "place", "of"): "insteadof", ("in", "plaats", "van"): "insteadof",
    ("rid", "of"): "remove", ("get", "rid", "of"): "remove", ("turn", "on"): "turn_on",
    ("turn", "off"): "turn_off", ("switch", "off"): "turn_off", ("switch", "on"): "turn_on",
    ("scale", "up"): "scale_up", ("scale", "down"): "scale_down", ("go", "back"): "go_back",
    ("roll", "back"): "roll_back", ("put", "back"): "put_back", ("back", "to"): "back_to",
    ("return", "to"): "return_to", ("zero", "out"): "zero_out", ("dial", "back"): "dial_back",
    ("w", "/", "o"): "w/o", ("as", "opposed", "to"): "insteadof", ("terug", "naar"): "back_to",
    ("switch", "to"): "switch_to", ("voeg", "toe"): "add",
}  # fmt: skip
"""Several words that act as one."""
