import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bundles import CONFIG, FILES

from livecalc.domain.errors import InvalidInput
from livecalc.domain.modelconfig import Node, order_nodes, parse_engine
from livecalc.domain.modelrules import check_name, parse_config, resolve_files


def parsed(content: Any) -> Any:
    return parse_config(json.dumps(content).encode())


def changed(path: str, value: Any) -> dict[str, Any]:
    """The small model's configuration with one value replaced; `path` is dotted, numbers are list indexes."""
    content: Any = deepcopy(CONFIG)
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place = content
    for step in way:
        place = place[step]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return content


def test_reads_what_is_written() -> None:
    config = parsed(CONFIG)
    assert config.scenarios.count == 16
    assert config.pipeline.nodes[1].inputs == {"numbers": "bus://inner/numbers"}


def test_has_a_block_of_40_and_seed_0_unless_told() -> None:
    config = parsed(changed("scenarios", {"count": 5}))
    assert (config.scenarios.block, config.scenarios.seed) == (40, 0)


def test_takes_every_seed_of_64_bits() -> None:
    assert parsed(changed("scenarios.seed", 2**64 - 1)).scenarios.seed == 2**64 - 1


@pytest.mark.parametrize(
    ("path", "value", "where", "reason"),
    [
        ("name", KeyError, "$", "missing required field `name`"),
        ("name", "", "$.name", "use 1 to 63"),
        ("name", "../x", "$.name", "use 1 to 63"),
        ("version", "1 beta", "$.version", "use 1 to 40"),
        ("version", 1, "$.version", "Expected `str`, got `int`"),
        ("colour", "red", "$", "unknown field `colour`"),
        ("scenarios.count", 0, "$.scenarios.count", "between 1 and 1,000,000,000"),
        ("scenarios.count", 10**9 + 1, "$.scenarios.count", "between 1 and 1,000,000,000"),
        ("scenarios.count", "16", "$.scenarios.count", "Expected `int`"),
        ("scenarios.count", 1.5, "$.scenarios.count", "Expected `int`"),
        ("scenarios.count", True, "$.scenarios.count", "Expected `int`"),
        ("scenarios.block", 0, "$.scenarios.block", "0 is not a multiple of 8"),
        ("scenarios.block", 12, "$.scenarios.block", "12 is not a multiple of 8"),
        ("scenarios.block", -8, "$.scenarios.block", "-8 is not a multiple of 8"),
        ("scenarios", {"count": 10**9, "block": 8}, "$.scenarios.block", "1 to 1,000,000 blocks"),
        ("scenarios.seed", -1, "$.scenarios.seed", "between 0 and 2^64-1"),
        ("scenarios.seed", 2**64, "$.scenarios.seed", "between 0 and 2^64-1"),
        ("assumptions.0.ref", "rates/flat", "$.assumptions[0].ref", "no pinned version"),
        ("assumptions.0.ref", "rates/flat:latest", "$.assumptions[0].ref", "no pinned version"),
        ("assumptions.0.ref", "rates/flat:v0", "$.assumptions[0].ref", "no pinned version"),
        ("assumptions.0.ref", "rates/flat:v1\n", "$.assumptions[0].ref", "no pinned version"),
        ("assumptions.0.ref", "rates//flat:v1", "$.assumptions[0].ref", "no pinned version"),
        ("assumptions.0.ref", "../flat:v1", "$.assumptions[0].ref", "no pinned version"),
        ("assumptions", 2 * [{"ref": "a:v1", "path": "p"}], "$.assumptions[1].ref", "stands twice"),
        ("pipeline.nodes", [], "$.pipeline.nodes", "at least one node"),
        ("pipeline.nodes.0.id", "a\0b", "$.pipeline.nodes[0].id", "not valid"),
        ("pipeline.nodes.1.id", "draw", "$.pipeline.nodes[1].id", "stands twice"),
        ("pipeline.nodes.0.engine", "r://model.R:draw", "$.pipeline.nodes[0].engine", "does not resolve"),
        ("pipeline.nodes.0.engine", "python://model.py", "$.pipeline.nodes[0].engine", "does not resolve"),
        ("pipeline.nodes.0.engine", "python://model.py:a.b", "$.pipeline.nodes[0].engine", "does not resolve"),
        ("pipeline.nodes.0.engine", "python://model.py:import", "$.pipeline.nodes[0].engine", "a word of Python's"),
        ("pipeline.nodes.0.engine", "wasm://model.py", "$.pipeline.nodes[0].engine", "does not resolve"),
        ("pipeline.nodes.0.inputs", {"a-b": "x.csv"}, "$.pipeline.nodes[0].inputs", "is not a name"),
        ("pipeline.nodes.0.inputs", {"ﬁ": "x.csv"}, "$.pipeline.nodes[0].inputs", "is not a name"),
        ("pipeline.nodes.0.inputs", {"class": "x.csv"}, "$.pipeline.nodes[0].inputs", "a word of Python's"),
        ("pipeline.nodes.0.inputs", {"a": "x.xlsx"}, "$.pipeline.nodes[0].inputs.a", "no supported type"),
        ("pipeline.nodes.0.inputs", {"a": "http://h/x.csv"}, "$.pipeline.nodes[0].inputs.a", "not a bus address"),
        ("pipeline.nodes.0.inputs", {"a": "bus://../x"}, "$.pipeline.nodes[0].inputs.a", "not a bus address"),
        ("pipeline.nodes.0.inputs", {"a": "bus://"}, "$.pipeline.nodes[0].inputs.a", "not a bus address"),
        ("pipeline.nodes.0.outputs", {}, "$.pipeline.nodes[0].outputs", "at least one output"),
        ("pipeline.nodes.0.outputs", {"a": "x.npy"}, "$.pipeline.nodes[0].outputs.a", "not a bus address"),
        ("pipeline.nodes.1.inputs", {"n": "bus://no/one"}, "$.pipeline.nodes", "'total' reads bus://no/one, which no"),
        ("pipeline.nodes.0.outputs.numbers", "bus://results/total", "$.pipeline.nodes", "written by node 'draw' and"),
        ("pipeline.nodes.0.inputs", {"rates": "bus://results/total"}, "$.pipeline.nodes", "which no node writes"),
        ("results", [], "$.results", "at least one result"),
        ("results", ["bus://results/other"], "$.results[0]", "written by no node"),
        ("results", 2 * ["bus://results/total"], "$.results[1]", "stands twice"),
    ],
)
def test_refuses_with_the_place_and_the_reason(path: str, value: Any, where: str, reason: str) -> None:
    content = changed(path, value)
    if "which no node writes" in reason:
        content["pipeline"]["nodes"][1]["outputs"] = {"total": "bus://results/another"}
    with pytest.raises(InvalidInput) as refused:
        parsed(content)
    assert f"livecalc.config.json: {where}: " in refused.value.detail
    assert reason in refused.value.detail


def test_refuses_a_circle() -> None:
    content = changed("pipeline.nodes.0.inputs", {"rates": "bus://results/total"})
    with pytest.raises(InvalidInput, match="nodes 'draw', 'total' wait for each other's outputs"):
        parsed(content)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"name": "a", "name": "b"}', "key 'name' stands twice in one object"),
        (b'{"name": NaN}', "NaN is not a JSON number"),
        (b"\xff\xfe{\0}\0", "not UTF-8"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b" " * (1 << 20) + b"{}", "at most 1048576"),
        (b'["a"]', "Expected `object`, got `array`"),
        (b'{"name": "\\ud800"}', "livecalc.config.json"),
    ],
)
def test_refuses_what_is_no_configuration(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_config(data)
    assert reason in refused.value.detail
    assert refused.value.detail.isprintable()


@pytest.mark.parametrize("missing", ["model.py", "assumptions/rates.csv"])
def test_names_a_file_that_is_not_there(missing: str) -> None:
    with pytest.raises(InvalidInput, match=rf"\$\.\S+: '{missing}' is not in the bundle"):
        resolve_files(parsed(CONFIG), FILES.keys() - {missing})


def test_takes_engines_apart() -> None:
    python = parse_engine("python://deep/model.py:run")
    assert (python.scheme, python.path, python.function) == ("python", "deep/model.py", "run")
    wasm = parse_engine("wasm://model.wasm")
    assert (wasm.scheme, wasm.path, wasm.function) == ("wasm", "model.wasm", "")


@pytest.mark.parametrize("name", ["a", "term-life", "A.b_c-1", "a" * 63])
def test_takes_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a-", ".a", "a b", "a/b", "é", "a" * 64, "a\n"])
def test_refuses_names(name: str) -> None:
    with pytest.raises(InvalidInput):
        check_name(name)


@st.composite
def pipelines(draw: st.DrawFn) -> list[Node]:
    """Nodes that read only what earlier ones write, shuffled."""
    nodes: list[Node] = []
    for number in range(draw(st.integers(1, 12))):
        reads = draw(st.sets(st.integers(0, number - 1))) if number else set[int]()
        nodes.append(
            Node(
                id=f"n{number}",
                engine="python://m.py:f",
                inputs={f"i{before}": f"bus://v/{before}" for before in reads},
                outputs={"o": f"bus://v/{number}"},
            )
        )
    return draw(st.permutations(nodes))


@settings(deadline=None)
@given(pipelines())
def test_orders_any_pipeline_without_a_circle(nodes: list[Node]) -> None:
    ordered = order_nodes(nodes)
    assert sorted(node.id for node in ordered) == sorted(node.id for node in nodes)
    written: set[str] = set()
    for node in ordered:
        assert set(node.inputs.values()) <= written
        written |= set(node.outputs.values())


@settings(deadline=None)
@given(pipelines())
def test_keeps_the_written_order_where_it_can(nodes: list[Node]) -> None:
    ordered = order_nodes(nodes)
    assert order_nodes(ordered) == ordered


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_json_is_refused_or_read(content: Any) -> None:
    with pytest.raises(InvalidInput):
        parsed(content)
