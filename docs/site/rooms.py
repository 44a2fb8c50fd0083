"""Draw the rooms of the code from their imports, into docs/house.md.

Try: python docs/site/rooms.py
"""

import re
from pathlib import Path

import grimp

PAGE = Path(__file__).resolve().parents[1] / "house.md"
PLANS = {"product": "pm25map", "laboratory": "pm25map.laboratory"}
"""The two plans of the page, and the packages whose folders are their rooms."""


def imports_of(package: str) -> dict[str, set[str]]:
    """Find which folders of a package import which others, by name."""
    graph = grimp.build_graph("pm25map", cache_dir=None)
    rooms = {
        child.rsplit(".", 1)[1]: child for child in graph.find_children(package) if graph.find_children(child)
    }
    imports: dict[str, set[str]] = {room: set() for room in rooms}
    for room, module in rooms.items():
        for one in {module, *graph.find_descendants(module)}:
            for other in graph.find_modules_directly_imported_by(one):
                target = next(
                    (name for name, path in rooms.items() if f"{other}.".startswith(f"{path}.")), room
                )
                imports[room] |= {target} - {room}
    return imports


def draw(imports: dict[str, set[str]]) -> str:
    """Lay the rooms out by floors, the ground last; a room names those it rests on directly.

    A room that a named one rests on itself is not named again.
    """
    floor: dict[str, int] = {}

    def floor_of(room: str) -> int:
        if room not in floor:
            floor[room] = 1 + max((floor_of(other) for other in imports[room]), default=0)
        return floor[room]

    def below(room: str) -> set[str]:
        return imports[room].union(*(below(other) for other in imports[room]))

    lines = []
    for room in sorted(imports, key=lambda one: (-floor_of(one), one)):
        indirect = set().union(*(below(other) for other in imports[room]))
        rests = ", ".join(sorted(imports[room] - indirect, key=lambda one: (-floor_of(one), one)))
        lines.append(f"{floor_of(room):2}  {room:<12}{'on ' + rests if rests else ''}".rstrip())
    return "\n".join(lines)


def render(page: str) -> str:
    """Put both plans between their marks in the text of the page."""
    for name, package in PLANS.items():
        begin, end = f"<!-- plan of the {name} -->\n", "<!-- end of the plan -->"
        plan = f"{begin}```text\n{draw(imports_of(package))}\n```\n{end}"
        page, times = re.subn(f"{begin}.*?{end}", lambda _, plan=plan: plan, page, flags=re.DOTALL)
        if times != 1:
            raise ValueError(f"{PAGE} has no marks for the plan of the {name}")
    return page


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
