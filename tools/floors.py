"""Print pip constraints that hold every dependency of pyproject.toml to its floor.

``python tools/floors.py > floors.txt`` lists ``name==floor`` for all dependencies and extras; ``make floors`` makes an
environment from it and runs the quick tests there. ``--replace torch==2.13.0`` names another release for one of them,
where the floor itself is not to be had as a build for this machine.
"""

import argparse
import re
import sys
import tomllib
from pathlib import Path

_FLOOR = re.compile(r"(?P<name>[A-Za-z0-9._-]+)>=(?P<floor>[0-9][0-9A-Za-z.]*)")


def floors(pyproject: Path) -> dict[str, str]:
    """Read the oldest release that each dependency may have.

    Parameters
    ----------
    pyproject : pathlib.Path
        The file.

    Returns
    -------
    dict of str to str
        Release by name; the highest where a name has two.

    Raises
    ------
    ValueError
        If a dependency names no floor.
    """
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    listed = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    found: dict[str, str] = {}
    for line in listed:
        if line.startswith(f"{project['name']}["):  # the project's own extras, listed by themselves
            continue
        match = _FLOOR.fullmatch(line)
        if match is None:
            raise ValueError(f"{line}: expected name>=floor, got another form; repair: name its oldest tested release")
        name, floor = match["name"], match["floor"]
        found[name] = max(floor, found.get(name, floor), key=_order)
    return found


def _order(release: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", release)]


def main() -> int:
    """Print the constraints.

    Returns
    -------
    int
        0.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replace", action="append", default=[], metavar="NAME==RELEASE")
    options = parser.parse_args()
    found = floors(Path(__file__).resolve().parents[1] / "pyproject.toml")
    found |= dict(line.split("==") for line in options.replace)
    sys.stdout.writelines(f"{name}=={release}\n" for name, release in sorted(found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
