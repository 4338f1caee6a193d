"""Paths as a tree, as `tree` prints them. Pure."""

from collections.abc import Iterator, Mapping

from livecalc.cli.format import plain, width


def tree(leaves: Mapping[str, str]) -> str:
    """Draw paths, each with a remark behind it; what is in a folder stands below it, in order of the paths given."""
    return "\n".join(_draw(leaves, ""))


def _draw(leaves: Mapping[str, str], indent: str) -> Iterator[str]:
    names = list(dict.fromkeys(_first(path) for path in leaves))
    widest = max((width(name) for name in names if not name.endswith("/")), default=0)
    for name in names:
        last = name == names[-1]
        line = f"{indent}{'└── ' if last else '├── '}{plain(name)}"
        if name.endswith("/"):
            yield line
            inside = {path.removeprefix(name): remark for path, remark in leaves.items() if path.startswith(name)}
            yield from _draw(inside, indent + ("    " if last else "│   "))
        else:
            yield f"{line}{' ' * (widest - width(name))}  {plain(leaves[name])}".rstrip()


def _first(path: str) -> str:
    """A path's first part; a folder's name ends in a slash."""
    name, slash, _ = path.partition("/")
    return name + slash
