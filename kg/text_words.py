"""The grammar of experiment messages: verbs, comparatives, openers of context.

English, with the Dutch words that occur in real histories. Domain names are not here: they
are concepts of lexicon.ttl. Every word is a lemma of kg.text_lemmas.
"""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


ARTICLES = words("a an the")
"""Words that say nothing: they are dropped from labels and messages alike."""
INCREASE = words(
    """
    additional amplify another append beefier bigger boost breder bump deepen deeper dieper
    double enlarge expand extend extra fatter finer greater groter grow heavier higher hoger
    hotter increase langer larger lengthen lift longer looser meer more quadruple raise richer
    scale_up slower stack strengthen stretch stronger thicker triple loosen up verdubbel vergroot
    verhoog verleng widen wider
    """
)
DECREASE = words(
    """
    cooler cut decrease dial_back down faster fewer gentler halve halveer kleiner korter lager
    leaner less lessen lighter lower milder minder minus narrow narrower ondieper quarter quicker
    reduce scale_down shallower shave shorten shorter shrink skinnier slimmer smaller softer squeeze
    thinner tighten tighter trim verklein verkort verlaag weaken weaker
    """
)
ADD = words(
    """
    add apply attach augment enrich equip implement include incorporate inject insert introduce
    introduceer new penalize regularize toevoegen voeg
    """
)
REMOVE = words(
    """
    ablate avoid delete discontinue dont drop eliminate exclude geen get_rid_of kill never no
    no_longer no_more omit prune remove schrap skip strip verwijder w/o without zap zero_out
    zonder
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
    adjust bring check choose experiment explore force gebruik give go investigate let make
    modify move pick probeer put restrict_to retest retry retune revisit run set sweep switch_to
    test try tune tweak update use with_ zet
    """
)
"""Verbs that say nothing about what happens to their object."""
INSTRUMENT = words(
    """
    augment combine enhance enrich equip extend init penalize regularize supplement
    """
)
"""Verbs whose "with" names the change itself: "regularize the head with weight decay"."""
KEEP = words(
    """
    behoud fixed gelijk hold holding keep keeping maintain same still unchanged zelfde
    """
)
COMPARATIVES = words(
    """
    additional another beefier bigger breder cooler deeper dieper extra faster fatter fewer
    gentler greater groter heavier higher hoger hotter kleiner korter lager langer larger leaner
    less lighter longer looser meer milder minder more narrower ondieper quicker shallower
    shorter skinnier slimmer slower smaller softer stronger thicker thinner tighter weaker wider
    """
)
"""Adjectives that give a direction to the noun they stand before."""
LOWER = words("lower")
"""A verb that is an adjective between two words of a name: "the head with a lower LR"."""
PUSH = words("crank push pump")
"""Verbs that raise unless another word says where to: "push depth", but "push WD lower"."""
NEGATIONS = words("avoid dont geen never no no_longer no_more w/o without zonder")
ANOTHER = words("additional another extra more new")
"""Before a module that is there or not, these add it; they are no "more of it"."""
FAMILIES = words(
    """
    booster catboost forest gbdt gbm gbr histgbt knn lasso lgb lgbm lightgbm regressor
    rf ridge sklearn svm tree xgb xgboost
    """
)
"""Models of another family: beside them "depth" is that of a tree."""
OTHER = words("another different new other")
FIELDS = words("adsense backtest drawdown feature portfolio rmse sharpe stock strategy trading")
"""Words of other tasks: beside them a name of one word is no knob of a language model."""
SPREAD = words("differential different discriminative distinct individual separate varying")
"""Before a rate or a decay these split it over layers or groups."""
SPEED = words("faster quicker slower")
"""A rate gets faster by rising, a warmup by getting shorter."""
EARLIER = words("earlier sooner vroeger eerder")
LATER = words("delay later postpone")
RUNS_OUT = words("schedule.warmdown_ratio schedule.warmdown_steps schedule.lr_shape")
"""Phases that last until the end: to start earlier is to last longer."""
RUNS_IN = words("schedule.warmup_ratio schedule.warmup_steps schedule.muon_momentum_warmup_steps")
"""Phases that last from the start: to end earlier is to be shorter."""
WHOLE = words("optimizer.lr_scale_reference optimizer.muon_beta2")
"""Numbers of a method that is there or not: without it they are gone, not zero."""
CONTEXT = words(
    """
    above across after against allow allowing along alongside are around as atop because before
    below beside besides between beyond bij but can complement could despite door due during
    expect expecting for from given helps hope hoping if in into is like maybe met might need om
    omdat on once op over per save saving should since so than thanks that these this through
    together toward towards under until using versus via voor vs want was were when where which
    while will with within would zodat
    """
)
"""Words after which a segment states a condition or a reason, not a change."""
IDLE = words("begin compute cross entropy feed learn model now train")
"""Words before a lone name that say no more than that there is a model."""
REPORT = words("monitor plot print report")
"""First words of a text about what is shown of a run: the rest says what, not what changed."""
GROWTH = words("deepen expand grow narrow shrink widen")
"""Verbs that names hold: "widen the model", "shrink the residual stream"."""
MODEL = words(
    """
    also and architecture at backbone bit block body both but by even far gpt highway insteadof
    is it layer little model much net network of residual slightly stack stream to too
    transformer trunk way
    """
)
"""Nouns that "wider" and "narrower" may stand before without changing what is meant."""
TUNE = words(
    """
    adjust alter change combine modify move retune set sweep tune tweak update vary wijzig
    """
)
"""Verbs that make a bare name a claim: "retune the matrix LR", though not where to."""
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
PARTS = {"half": 0.5, "third": 1 / 3, "quarter": 0.25, "fifth": 0.2, "tenth": 0.1}
"""Shares of the old value: "cut by a third", "a tenth of its LR"; "every third" is a place."""
FACTORS = {
    "halve": 0.5, "half": 0.5, "double": 2.0, "triple": 3.0,
    "quadruple": 4.0, "quarter": 0.25,
    "eighth": 0.125, "sixteenth": 0.0625,
    "twice": 2.0, "halveer": 0.5, "verdubbel": 2.0, "thirds": 1 / 3,
}  # fmt: skip
"""Words that multiply the old value."""
EXCESS = {
    "deep": frozenset({"model.depth"}), "shallow": frozenset({"model.depth"}),
    "wide": frozenset({"model.width", "mlp.expansion"}),
    "narrow": frozenset({"model.width", "mlp.expansion"}),
}  # fmt: skip
"""Excesses that speak of one thing: "(too narrow)" says nothing about the depth."""
COSTS = words("flop iteration memory param parameter step token update vram")
"""What a change costs or saves: "fewer tokens" says nothing of the name before it."""
COST_UP = (
    "too few step", "fewer step", "less step", "fewer token", "less token", "slower", "oom",
    "out of memory",
)  # fmt: skip
COST_DOWN = ("more step", "faster", "speed up", "more token", "more update", "max update")
PHRASES: dict[tuple[str, ...], str] = {
    ("instead", "of"): "insteadof", ("rather", "than"): "insteadof",
    ("in", "place", "of"): "insteadof", ("in", "plaats", "van"): "insteadof",
    ("rid", "of"): "remove", ("get", "rid", "of"): "remove", ("turn", "on"): "turn_on",
    ("turn", "off"): "turn_off", ("switch", "off"): "turn_off", ("switch", "on"): "turn_on",
    ("scale", "up"): "scale_up", ("scale", "down"): "scale_down", ("go", "back"): "go_back",
    ("take", "up"): "span", ("put", "in"): "add", ("throw", "in"): "add",
    ("squeeze", "in"): "add", ("slip", "in"): "add", ("build", "in"): "add",
    ("thin", "out"): "reduce", ("slim", "down"): "reduce",
    ("roll", "back"): "roll_back", ("put", "back"): "put_back", ("back", "to"): "back_to",
    ("return", "to"): "return_to", ("zero", "out"): "zero_out", ("dial", "back"): "dial_back",
    ("w", "/", "o"): "w/o", ("w", "/"): "with", ("as", "opposed", "to"): "insteadof",
    ("terug", "naar"): "back_to",
    ("slow", "down"): "slower", ("speed", "up"): "faster",
    ("keep", "only"): "restrict_to", ("more", "slowly"): "slower", ("more", "quickly"): "faster",
    ("switch", "to"): "switch_to", ("voeg", "toe"): "add", ("don", "t"): "dont",
    ("do", "not"): "dont", ("no", "longer"): "no_longer", ("no", "more"): "no_more",
    ("not", "any", "more"): "no_longer", ("stop", "use"): "remove", ("stop", "apply"): "remove",
    ("ease", "off"): "dial_back", ("back", "off"): "dial_back", ("tone", "down"): "dial_back",
    ("cut", "back"): "dial_back", ("ease", "off", "on"): "dial_back",
    ("cut", "down", "on"): "dial_back", ("cut", "back", "on"): "dial_back",
    ("scale", "back"): "scale_down",
}  # fmt: skip
"""Several words that act as one."""
