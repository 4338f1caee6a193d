"""What a validator of `term-life` would check. Figures and tolerances are those of the model's specification."""

import csv
import hashlib
import json
import math
import runpy
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livecalc.bundles.examples import find_example
from livecalc.domain.modelrules import parse_config
from livecalc.pipeline.block import Block

FOLDER = find_example("term-life")
PARQUET: Any = import_module("pyarrow.parquet")
ESG: Any = runpy.run_path(str(FOLDER / "esg.py"))
PROJECT: Any = runpy.run_path(str(FOLDER / "project.py"))
CONFIG = parse_config((FOLDER / "livecalc.config.json").read_bytes())
COUNT = CONFIG.scenarios.count

A, B, SIGMA, R0 = 0.15, 0.04, 0.01, 0.03
ONE_AT_3 = 1 / 1.03


def readonly(columns: dict[str, Any]) -> dict[str, Any]:
    for values in columns.values():
        values.flags.writeable = False
    return columns


def mortality(sex: str) -> dict[str, Any]:
    with (FOLDER / "assumptions" / f"mortality-{sex}.csv").open() as file:
        rows = list(csv.DictReader(file))
    return readonly(
        {"age": np.array([int(row["age"]) for row in rows]), "qx": np.array([float(row["qx"]) for row in rows])}
    )


def policies() -> dict[str, Any]:
    table = PARQUET.read_table(FOLDER / "inputs" / "policies.parquet")
    return readonly({name: table[name].to_numpy().copy() for name in table.column_names})


Q = {sex: [float(q) for q in mortality(sex)["qx"]] for sex in ("male", "female")}
TABLES = {"policies": policies(), "mortality_male": mortality("male"), "mortality_female": mortality("female")}


def bond(t: float) -> float:
    """P(t), written down again."""
    annuity = (1 - math.exp(-A * t)) / A
    return math.exp((annuity - t) * (B - SIGMA**2 / (2 * A**2)) - SIGMA**2 * annuity**2 / (4 * A) - annuity * R0)


def run(size: int) -> tuple[Any, Any]:
    """Discount factors and NPVs of all scenarios, computed in blocks of a size."""
    parts: list[tuple[Any, Any]] = []
    for first in range(0, COUNT, size):
        stop = min(first + size, COUNT)
        blocks = {
            node: Block(seed=CONFIG.scenarios.seed, node=node, first=first, stop=stop) for node in ("esg", "project")
        }
        discount = readonly(ESG["short_rates"](blocks["esg"]))["discount"]
        parts.append((discount, PROJECT["npv"](blocks["project"], **TABLES, discount=discount)))
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))  # pyright: ignore[reportReturnType]


@pytest.fixture(scope="module")
def computed() -> tuple[Any, Any]:
    return run(CONFIG.scenarios.block)


# Economic scenarios


def test_prices_of_the_specification() -> None:
    for t, price in ((1, 0.9697674787), (10, 0.7103722103), (20, 0.4901844953), (30, 0.3364515080)):
        assert bond(t) == pytest.approx(price, abs=5e-11)
        assert ESG["zero_coupon"](t, ESG["Vasicek"]()) == pytest.approx(bond(t), rel=1e-14)


def test_transitions_composed_over_40_years_give_the_prices() -> None:
    step = ESG["step"](ESG["Vasicek"]())
    carry = np.array([[step.decay, 0], [step.annuity, 1]])
    drift = np.array([B - B * step.decay, B - B * step.annuity])
    noise = np.array([[step.r_z1, 0], [step.i_z1, step.i_z2]])
    mean, covariance = np.array([R0, 0]), np.zeros((2, 2))
    for t in range(1, 41):
        mean = carry @ mean + drift
        covariance = carry @ covariance @ carry.T + noise @ noise.T
        assert math.exp(-mean[1] + covariance[1, 1] / 2) == pytest.approx(bond(t), rel=1e-12)


def test_the_simulation_makes_those_transitions() -> None:
    step = ESG["step"](ESG["Vasicek"]())
    normals = Block(seed=1, node="esg", first=0, stop=3).normals(80)
    rates, integrals = ESG["simulate"](normals, ESG["Vasicek"]())
    for scenario in range(3):
        r, integral = R0, 0.0
        for t in range(40):
            z1, z2 = normals[scenario, 2 * t], normals[scenario, 2 * t + 1]
            integral += B + (r - B) * step.annuity + step.i_z1 * z1 + step.i_z2 * z2
            r = B + (r - B) * step.decay + step.r_z1 * z1
            assert rates[scenario, t + 1] == pytest.approx(r, rel=1e-12)
            assert integrals[scenario, t + 1] == pytest.approx(integral, rel=1e-12)


def test_without_volatility_the_curve_is_certain() -> None:
    normals = Block(seed=1, node="esg", first=0, stop=2).normals(80)
    rates, integrals = ESG["simulate"](normals, ESG["Vasicek"](sigma=0.0))
    t = np.arange(41)
    certain = np.exp(-(B * t + (R0 - B) * (1 - np.exp(-A * t)) / A))
    assert np.exp(-integrals) == pytest.approx(np.broadcast_to(certain, (2, 41)), rel=1e-12)
    trapezoid = np.exp(-np.concatenate([[0], np.cumsum((rates[0, 1:] + rates[0, :-1]) / 2)]))
    assert np.abs(trapezoid / certain - 1).max() > 1e-5, "the check must tell a trapezoid rule from the truth"


def test_mean_discount_factors_are_the_prices(computed: tuple[Any, Any]) -> None:
    discount, _ = computed
    assert discount.shape == (COUNT, 41)
    assert (discount[:, 0] == 1).all()
    for t in range(1, 41):
        annuity = (1 - math.exp(-A * t)) / A
        variance = (SIGMA / A) ** 2 * (t - 2 * annuity + (1 - math.exp(-2 * A * t)) / (2 * A))
        error = bond(t) * math.sqrt((math.exp(variance) - 1) / COUNT)
        assert abs(discount[:, t].mean() - bond(t)) < 4 * error
        assert discount[:, t].std(ddof=1) / math.sqrt(COUNT) == pytest.approx(error, rel=0.1)


# Mortality and premiums


def test_the_tables_are_the_published_ones() -> None:
    digests = {
        "male": "4373c14836076edebca0a783489179d7740389aaf7c7ae75b5b30a4e0ab8e083",
        "female": "267f037135aa8706d580c740864f32adfa9b9b35ba9d049cd8968fa8ddc0606b",
    }
    for sex, digest in digests.items():
        assert hashlib.sha256((FOLDER / "assumptions" / f"mortality-{sex}.csv").read_bytes()).hexdigest() == digest


def survival(q: list[float], age: int) -> Iterator[tuple[int, float, float]]:
    """Years, the probability to be alive at their beginning, and to die in them."""
    alive = 1.0
    for year, rate in enumerate(q[age:]):
        yield year, alive, alive * rate
        alive *= 1 - rate


@pytest.mark.parametrize(
    ("sex", "insurance", "annuity"), [("male", 0.078796339, 14.778267469), ("female", 0.047469663, 15.005879600)]
)
def test_temporary_insurance_and_annuity_at_3_percent(sex: str, insurance: float, annuity: float) -> None:
    years = [entry for entry in survival(Q[sex], 40) if entry[0] < 20]
    assert sum(deaths * ONE_AT_3 ** (t + 1) for t, _, deaths in years) == pytest.approx(insurance, abs=5e-10)
    assert sum(alive * ONE_AT_3**t for t, alive, _ in years) == pytest.approx(annuity, abs=5e-10)


def test_insurance_is_one_less_the_discounted_annuity() -> None:
    discount = 1 - ONE_AT_3
    for q in Q.values():
        years = [entry for entry in survival(q, 40) if entry[0] < 20]
        insurance = sum(deaths * ONE_AT_3 ** (t + 1) for t, _, deaths in years)
        annuity = sum(alive * ONE_AT_3**t for t, alive, _ in years)
        survivors = (years[-1][1] - years[-1][2]) * ONE_AT_3**20
        assert insurance + survivors == pytest.approx(1 - discount * annuity, abs=1e-12)


def test_whole_life_needs_the_table_to_be_closed() -> None:
    """The closure: all who survive age 109 die within the year after (q at 110 is 1)."""
    discount = 1 - ONE_AT_3
    for q in Q.values():
        assert q[109] < 0.6, "the table is open"
        for closed, holds in (([*q, 1.0], True), (q, False)):
            years = list(survival(closed, 40))
            insurance = sum(deaths * ONE_AT_3 ** (t + 1) for t, _, deaths in years)
            annuity = sum(alive * ONE_AT_3**t for t, alive, _ in years)
            assert (abs(insurance - (1 - discount * annuity)) < 1e-12) is holds


def test_premiums_are_one_and_a_half_times_the_net_premium_in_cents() -> None:
    people: dict[str, Any] = {"age": np.array([40, 40]), "sex": np.array([1, 2]), "term": np.array([20, 20])}
    people["sum_assured"] = np.array([1_000_000, 1_000_000])
    deaths = PROJECT["death_probabilities"](people, TABLES["mortality_male"], TABLES["mortality_female"])
    premiums: Any = PROJECT["yearly_premiums"](people["term"], people["sum_assured"], deaths)
    net = (0.078796339 / 14.778267469, 0.047469663 / 15.005879600)
    assert premiums == pytest.approx([1.5e6 * premium for premium in net], abs=0.01)
    assert premiums.tolist() == [round(premium, 2) for premium in premiums.tolist()]


def test_a_table_that_skips_an_age_is_refused() -> None:
    broken = {name: np.delete(values, 3) for name, values in mortality("male").items()}
    with pytest.raises(ValueError, match="must list each age from 0 on"):
        PROJECT["death_probabilities"](TABLES["policies"], broken, broken)


# The portfolio and its value


def test_the_portfolio_is_what_its_script_makes() -> None:
    script: Any = runpy.run_path(str(FOLDER / "inputs" / "make_portfolio.py"))
    made = script["portfolio"]()
    assert {name: values.tolist() for name, values in TABLES["policies"].items()} == made
    assert [min(made["age"]), max(made["age"])] == [20, 59]
    assert set(made["sex"]) == {1, 2}
    assert set(made["term"]) == {10, 15, 20}
    assert [min(made["sum_assured"]), max(made["sum_assured"])] == [100_000, 1_000_000]
    assert len(made["age"]) == 10_000


def plain_cash_flows() -> list[float]:
    """The portfolio's flows by time, policy by policy in plain Python."""
    flows = [0.0] * 21
    columns = (TABLES["policies"][name].tolist() for name in ("age", "sex", "term", "sum_assured"))
    for age, sex, term, sum_assured in zip(*columns, strict=True):
        years = [entry for entry in survival(Q["female" if sex == 2 else "male"], age) if entry[0] < term]
        insurance = sum(deaths * ONE_AT_3 ** (t + 1) for t, _, deaths in years)
        premium = round(1.5 * sum_assured * insurance / sum(alive * ONE_AT_3**t for t, alive, _ in years), 2)
        flows[0] -= premium + 300
        stayed = 1.0
        for t, alive, deaths in years:
            flows[t] += stayed * alive * (premium - 60 * 1.01**t)
            flows[t + 1] -= stayed * deaths * sum_assured
            stayed *= 1 - max(0.10 - 0.02 * t, 0.02)
    return flows


def test_cash_flows_are_those_of_plain_arithmetic() -> None:
    flows = PROJECT["cash_flows"](**TABLES).sum(axis=1)
    assert flows == pytest.approx(plain_cash_flows(), rel=1e-9)


def test_mean_npv_is_cash_flows_times_mean_discount_factors(computed: tuple[Any, Any]) -> None:
    discount, npv = computed
    flows = PROJECT["cash_flows"](**TABLES).sum(axis=1)
    assert npv.mean() == pytest.approx(float(flows @ discount[:, :21].mean(axis=0)), rel=1e-12)


def test_mean_npv_is_the_closed_form(computed: tuple[Any, Any]) -> None:
    _, npv = computed
    done = subprocess.run([sys.executable, str(FOLDER / "closed_form.py")], check=True, stdout=subprocess.PIPE)
    closed = json.loads(done.stdout)
    assert closed == {"npv": pytest.approx(sum(flow * bond(t) for t, flow in enumerate(plain_cash_flows())), rel=1e-9)}
    error = npv.std(ddof=1) / math.sqrt(COUNT)
    assert 4 * error < 0.005 * closed["npv"]
    assert abs(npv.mean() - closed["npv"]) < 4 * error


def test_figures_of_record(computed: tuple[Any, Any]) -> None:
    """Seed 42; another CPU may change the last digits, a change of the model changes more."""
    _, npv = computed
    assert npv.shape == (COUNT,)
    assert npv.mean() == pytest.approx(88_668_001.84, rel=1e-9)
    assert npv.std(ddof=1) / math.sqrt(COUNT) == pytest.approx(89_586.83, rel=1e-6)
    assert sum(flow * bond(t) for t, flow in enumerate(plain_cash_flows())) == pytest.approx(88_607_993.07, rel=1e-9)


@pytest.mark.parametrize("size", [8, 200, COUNT])
def test_bits_do_not_depend_on_the_size_of_blocks(computed: tuple[Any, Any], size: int) -> None:
    discount, npv = run(size)
    assert discount.tobytes() == computed[0].tobytes()
    assert npv.tobytes() == computed[1].tobytes()


def test_bits_do_not_depend_on_how_an_input_lies_in_memory(computed: tuple[Any, Any]) -> None:
    discount, npv = computed
    block = Block(seed=42, node="project", first=0, stop=40)
    strided = np.repeat(discount[:40], 2, axis=0)[::2]
    for laid in (np.asfortranarray(discount[:40]), strided):
        assert PROJECT["npv"](block, **TABLES, discount=laid).tobytes() == npv[:40].tobytes()


def test_the_folder_holds_what_the_configuration_needs_and_its_proofs() -> None:
    files = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if "__pycache__" not in path.parts}
    assert {"closed_form.py", "inputs/make_portfolio.py", "assumptions/README.md"} <= files
    assert Path(FOLDER / "assumptions" / "README.md").read_text().count("National Vital Statistics Reports") == 1
