"""What every bench prints last: one JSON object with its figures, and whether their goals are met."""

import json
import sys
from typing import Any, NoReturn


def figure(name: str, value: float, goal: float | None, unit: str) -> dict[str, Any]:
    """One figure; a smaller value is better, and `goal` is the most it may be."""
    return {"figure": name, "value": round(value, 4), "goal": goal, "unit": unit}


def finish(figures: list[dict[str, Any]], detail: dict[str, Any]) -> NoReturn:
    """Print the report and exit 0 when all goals are met, else 1."""
    met = all(each["goal"] is None or each["value"] <= each["goal"] for each in figures)
    print(json.dumps({"figures": figures, "met": met, "detail": detail}))
    sys.exit(0 if met else 1)
