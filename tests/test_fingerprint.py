"""What two equal programs have in common, and how large a program is."""

from kg.fingerprint import fingerprint, size


def test_equal_programs_have_one_fingerprint_whatever_their_layout() -> None:
    base = fingerprint('def f():\n    """Doc."""\n    return g("a", 1)  # note\n')
    assert fingerprint("def f():\n  return g( 'a',(1) )\n") == base
    assert fingerprint("def f():\n  return g('a', 2)\n") != base
    assert fingerprint("if a:\n  b()\nc()\n") != fingerprint("if a:\n  b()\n  c()\n")
    assert fingerprint("def f(:").startswith("unparsed:")
    assert fingerprint("def f(:") != fingerprint("def g(:")


def test_size_counts_code_not_comments_blank_lines_or_docstrings() -> None:
    small = 'def f():\n    """Doc\n    string."""\n\n    # note\n    return 1\n'
    assert size(small) == (2, 5)
    assert size("def f(:\n# note\n\n") == (1, 0)
    assert size("") == (0, 1)
