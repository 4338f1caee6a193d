"""Paths as a tree, as `tree` prints them. Pure."""

from collections.abc import Iterator, Mapping

from livecalc.cli.format import plain, width


def tree(leaves: Mapping[str, str]) -> str:
    """Draw paths, each with a remark behind it, all in one column; what is in a folder stands below it, in order."""
    lines = list(_draw(leaves, ""))
    widest = max((width(line) for line, remark in lines if remark), default=0)
    return "\n".join(f"{line}{' ' * (widest - width(line))}  {remark}".rstrip() for line, remark in lines)


def _draw(leaves: Mapping[str, str], indent: str) -> Iterator[tuple[str, str]]:
    """Each line, and the remark that belongs behind it."""
    names = list(dict.fromkeys(_first(path) for path in leaves))
    for name in names:
        last = name == names[-1]
        line = f"{indent}{'└── ' if last else '├── '}{plain(name)}"
        if name.endswith("/"):
            yield line, ""
            inside = {path.removeprefix(name): remark for path, remark in leaves.items() if path.startswith(name)}
            yield from _draw(inside, indent + ("    " if last else "│   "))
        else:
            yield line, plain(leaves[name])


def _first(path: str) -> str:
    """A path's first part; a folder's name ends in a slash."""
    name, slash, _ = path.partition("/")
    return name + slash
