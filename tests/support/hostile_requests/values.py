"""JSON values as text, so that names can repeat and values need not be JSON."""

import json

from hypothesis import strategies as st


def weighted[T](*strategies: tuple[int, st.SearchStrategy[T]]) -> st.SearchStrategy[T]:
    """Return a strategy that draws from each of *strategies* as often as its weight says; `one_of` cannot."""
    parts = [strategy for weight, strategy in strategies for _ in range(weight)]
    return st.sampled_from(range(len(parts))).flatmap(parts.__getitem__)


_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20)
_trees = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
JSON_TEXTS = (
    *("null", "true", "false", "0", "-0", "0.0", "-1", "2147483647", "2147483648", "9223372036854775808", "1E400"),
    *('""', '"\\u0000"', '"\\ud800"', '"\\udc00\\ud800"', '"true"', '"0"', "[]", "{}", "[null]", "[{}]"),
    *('[{"lineItemNumber": 0}, {"lineItemNumber": 0}]', '[{"lineItemNumber": true}]', '[{"lineItemNumber": 1.0}]'),
    *('[{"lineItemNumber": 0, "offerId": "x"}]', '[{"lineItemNumber": 99}]', '[{"lineItemNumber": 0, "x": 1}]'),
    *('{"\\ud800": 1}', '[{"lineItemNumber": 0, "\\udfff": 1}]'),
)
NOT_JSON_TEXTS = (
    *("NaN", "Infinity", "-Infinity", "True", "None", "undefined", "'x'", "“x”", "{{ticket.id}}", "01", ".5", "1_000"),
    *("", '"\\x"', '"\t"', "[1,]", '{"a": 1, "a": 2}', '[{"lineItemNumber": 0, "lineItemNumber": 1}]'),
)
# CPython reads integers of up to 4,300 digits, and some 10,000 to 30,000 levels of nesting.
_numbers = st.builds(
    "{}{}".format, st.sampled_from(("", "-", "0.")), st.sampled_from((20, 400, 4_301)).map("9".__mul__)
)
DEEP_TEXTS = (
    *("[" * depth + "1" + "]" * depth for depth in (100, 900, 9_000, 30_000)),
    '{"a":' * 9_000 + "1" + "}" * 9_000,
)
values = weighted(
    (6, st.sampled_from(JSON_TEXTS)),
    (6, _trees.map(json.dumps)),
    (2, st.sampled_from(NOT_JSON_TEXTS)),
    (1, _numbers),
    (1, st.sampled_from(DEEP_TEXTS)),
)
