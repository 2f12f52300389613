"""The lexicon: every knob has names, no name has two knobs, and a user's aliases are merged."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pyoxigraph
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg.errors import LexiconError
from kg.knobs import component_of, rules
from kg.lexicon import SCHEME, load, merge, parse, read_aliases
from kg.lexicon_aliases import add_alias
from kg.text_match import LONGEST, find, index_of
from kg.text_tokens import keeps, key_of, tokenize

LEXICON = load()
TURTLE = Path(__file__).parents[1] / "kg" / "lexicon.ttl"
SKOS = "http://www.w3.org/2004/02/skos/core#"

KNOBS = """
    attention.backend attention.differential attention.every_n_layers attention.head_dim
    attention.head_scale attention.n_kv_head attention.qk_mixing attention.qk_norm
    attention.qkv_projection attention.short_conv attention.short_window attention.temperature
    attention.window_pattern attention.window_sizes batch.device batch.total
    data.seq_len_curriculum embedding.tying embedding.value_embeds.gate_channels
    embedding.value_embeds.gate_scale embedding.value_embeds.placement
    embedding.value_embeds.sharing evaluation.checkpoint_saving evaluation.logging
    evaluation.startup_exclude head.logit_temperature head.softcap init.c_proj
    init.distribution init.lm_head_std init.qk_scale init.resid_lambda init.scale
    init.value_embeds_scale init.wte_std init.x0_lambda loss.auxiliary loss.label_smoothing
    loss.z_loss mlp.activation mlp.expansion mlp.homeostatic_plasticity mlp.moe mlp.sparsity
    model.depth model.layer_loops model.width norm.placement optimizer.adam_beta1
    optimizer.adam_beta2 optimizer.adam_eps optimizer.all_lr optimizer.cautious_mask
    optimizer.embedding_lr optimizer.grad_clip optimizer.gradient_ema
    optimizer.gradient_scaling optimizer.hebbian_lr optimizer.lr_scale_reference
    optimizer.matrix_lr optimizer.muon_beta2 optimizer.muon_momentum optimizer.muon_ns_steps
    optimizer.resid_lambda_lr optimizer.scalar_lr optimizer.unembedding_lr
    optimizer.value_embeds_lr optimizer.x0_lambda_beta1 optimizer.x0_lambda_lr other.bugfix
    other.docs other.environment other.refactor other.reset other.seed other.unspecified
    position.absolute position.encoding position.rope_base position.rotary_cache_len
    precision.activation_checkpointing precision.autocast precision.compile_mode
    precision.cudnn_benchmark regularization.dropout.attention
    regularization.dropout.embedding regularization.dropout.mlp
    regularization.dropout.residual regularization.gradient_noise regularization.pruning
    regularization.stochastic_depth regularization.weight_decay.embedding
    regularization.weight_decay.lm_head regularization.weight_decay.matrix
    regularization.weight_decay.value_embeds regularization.weight_ema residual.attn_skip
    residual.parallel_block residual.predictive_coding residual.rezero schedule.adam_momentum
    schedule.final_lr_frac schedule.grad_accum schedule.lr_shape schedule.muon_momentum_start
    schedule.muon_momentum_warmup_steps schedule.warmdown_ratio schedule.warmup_ratio
    schedule.weight_decay
""".split()  # noqa: SIM905 - a hundred names in a column are no better to read


def test_every_knob_of_the_inventory_has_a_concept() -> None:
    assert [name for name in KNOBS if LEXICON.knob(name) is None] == []


def test_every_knob_the_source_reader_can_name_has_a_concept() -> None:
    assert sorted(name for name in named_in_reader() if LEXICON.knob(name) is None) == []


def named_in_reader() -> set[str]:
    """Return every whole knob name written in the reader's code and tables."""
    prefixes = "|".join(rules().components)
    knob = re.compile(rf'"((?:{prefixes})\.[a-z0-9_.]*[a-z0-9_])"')
    sources = [*TURTLE.parent.glob("*.py"), *TURTLE.parent.glob("*.toml")]
    return {name for path in sources for name in knob.findall(path.read_text(encoding="utf-8"))}


def test_every_knob_has_a_definition_a_component_and_other_names() -> None:
    poor = [
        knob.name
        for knob in LEXICON.knobs
        if not (knob.definition and knob.alt and ("component", knob.broader) in LEXICON.concepts)
    ]
    assert poor == []


def test_lexicon_and_source_reader_agree_on_components() -> None:
    told = {knob.name: LEXICON.component(knob.name) for knob in LEXICON.knobs}
    assert told == {name: component_of(name) for name in told}


def test_an_unknown_knob_gets_the_component_of_its_prefix_and_its_own_name() -> None:
    assert LEXICON.component("init.ve_gate") == "initialization"
    assert LEXICON.component("norm.epsilon") == "norm"
    assert LEXICON.component("other.GBR.max_depth") == "other"
    assert LEXICON.component("broker.fee") == "other"
    assert LEXICON.label("broker.fee") == "broker.fee"
    assert LEXICON.label("head.softcap") == "logit softcap"


def test_every_label_is_found_and_names_its_own_concept() -> None:
    index = index_of(LEXICON)
    lost = []
    for concept in LEXICON.concepts.values():
        labels = () if concept.kind == "component" else (*concept.labels, *concept.hidden)
        for label in labels:
            tokens = [t for t in tokenize(label) if t.kind != "sign" or keeps(t)]
            spans = find(tokens, index)
            whole = len(spans) == 1 and (spans[0].start, spans[0].end) == (0, len(tokens))
            if not whole or concept not in [entry.concept for entry in spans[0].entries]:
                lost.append(label)
    assert lost == []


def test_matching_a_name_does_not_depend_on_how_its_lemmas_are_written() -> None:
    names = index_of(LEXICON).names
    assert [key for key in names if key_of(" ".join(key)) != key] == []
    assert max(map(len, names)) <= LONGEST


def test_patterns_are_made_of_known_terms() -> None:
    used = {
        term
        for concept in LEXICON.concepts.values()
        for terms in concept.patterns + concept.weak_patterns
        for term in terms
    }
    assert {term for term in used if ("term", term) not in LEXICON.concepts} == set()


def test_the_file_is_plain_skos_without_blank_nodes() -> None:
    quads = list(pyoxigraph.parse(path=str(TURTLE), format=pyoxigraph.RdfFormat.TURTLE))
    subjects = {quad.subject.value for quad in quads} - {SCHEME}
    schemes = {q.subject.value for q in quads if q.predicate.value == SKOS + "inScheme"}
    preferred = [q.subject.value for q in quads if q.predicate.value == SKOS + "prefLabel"]
    assert not any(isinstance(q.subject, pyoxigraph.BlankNode) for q in quads)
    assert subjects == schemes
    assert len(preferred) == len(set(preferred))


def test_loading_needs_neither_rdflib_nor_spacy_nor_torch() -> None:
    script = (
        "import sys, kg.lexicon, kg.text; "
        "kg.text.resolve('depth 8 to 9', kg.lexicon.load(), engine='light'); "
        "print(sorted({'rdflib', 'spacy', 'torch', 'prefect'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


HEAD = (
    "@prefix skos: <http://www.w3.org/2004/02/skos/core#> .\n"
    "@prefix knob: <https://w3id.org/nightlab/knob/> .\n"
)


def test_one_label_for_two_knobs_is_an_error() -> None:
    turtle = HEAD + 'knob:a.x skos:prefLabel "gain" . knob:a.y skos:prefLabel "Gains" .'
    with pytest.raises(LexiconError) as caught:
        parse(turtle.encode())
    assert str(caught.value) == (
        "kg/lexicon.ttl: 'Gains' names both a.x and a.y; take it from one of them"
    )


def test_broken_turtle_is_an_error_that_says_where() -> None:
    with pytest.raises(LexiconError, match=r"^kg/lexicon\.ttl: not valid Turtle \(.+\); mend"):
        parse(b"knob:a skos:prefLabel")


def test_the_version_follows_the_content() -> None:
    one = parse((HEAD + 'knob:a.x skos:prefLabel "gain" .').encode())
    same = parse((HEAD + '\n# a comment\nknob:a.x skos:prefLabel "gain" .').encode())
    other = parse((HEAD + 'knob:a.x skos:prefLabel "gains" .').encode())
    assert one == same
    assert hash(one) == hash(same)
    assert one.version != other.version


def test_an_alias_is_written_read_back_and_found(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "aliases.toml"
    add_alias(path, "taller tower", "model.depth", "from run 7")
    add_alias(path, "squash the logits", "head.softcap")
    add_alias(path, "Taller  towers", "model.depth")  # the same words: nothing to add
    assert read_aliases(path) == [
        {"alias": "taller tower", "knob": "model.depth", "note": "from run 7"},
        {"alias": "squash the logits", "knob": "head.softcap"},
    ]
    lexicon = load(path)
    depth = lexicon.knob("model.depth")
    assert depth is not None
    assert depth.user == ("taller tower",)
    assert lexicon.version != LEXICON.version
    assert load(tmp_path / "none.toml") == LEXICON


def test_an_alias_that_means_something_else_names_both_sources(tmp_path: Path) -> None:
    path = tmp_path / "aliases.toml"
    add_alias(path, "taller tower", "model.depth")
    before = path.read_bytes()
    with pytest.raises(LexiconError) as caught:
        add_alias(path, "softcap", "model.depth")
    assert str(caught.value) == (
        f"{path}: 'softcap' is model.depth here but head.softcap in kg/lexicon.ttl;"
        " remove one of them"
    )
    with pytest.raises(LexiconError) as caught:
        add_alias(path, "taller tower", "model.width")
    assert str(caught.value) == (
        f"{path}: 'taller tower' is model.width here but model.depth in {path}; remove one of them"
    )
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("alias = [", "not valid TOML"),
        ("[[alias]]\nalias = 'tower'\n", "alias 1: needs an 'alias' and a 'knob'; add them"),
        ("alias = 3\n", "alias 1: needs an 'alias' and a 'knob'; add them"),
        ("[[alias]]\nalias = 'tower'\nknob = 'model.hight'\n", "no knob named 'model.hight'"),
        ("[[alias]]\nalias = '12'\nknob = 'model.depth'\n", "'12': holds no word"),
        ("[[alias]]\nalias = '1e-3, 2x'\nknob = 'model.depth'\n", "holds no word; write the"),
        ("[[alias]]\nalias = 'SSSL'\nknob = 'model.depth'\n", "holds no word"),
        ("[[alias]]\nalias = 'tower'\nknob = 'model.dept'\n", "`nightlab kg schema` lists"),
        ("[[alias]]\nalias = '?!'\nknob = 'model.depth'\n", "holds no word"),
    ],
)
def test_a_bad_alias_file_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "aliases.toml"
    path.write_text(text)
    with pytest.raises(LexiconError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


@given(st.text(max_size=30), st.text(max_size=30))
@settings(max_examples=60)
def test_any_phrase_is_either_refused_or_leaves_a_file_that_reads(alias: str, note: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "aliases.toml"
        try:
            add_alias(path, alias, "model.depth", note)
        except LexiconError:
            assert not path.exists()
        else:
            assert tomllib.loads(path.read_text(encoding="utf-8"))["alias"][0]["alias"] == alias
            assert load(path).sources[key_of(alias)] == "model.depth"


def test_merging_the_same_alias_twice_changes_nothing() -> None:
    alias = {"alias": "taller tower", "knob": "model.depth"}
    assert merge(LEXICON, [alias], "a") == merge(LEXICON, [alias, alias], "b")
