"""The mutants of the C core: files with one operator, constant or line changed."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

SWAPS = {
    "<": ["<=", ">="],
    "<=": ["<", ">"],
    ">": [">=", "<="],
    ">=": [">", "<"],
    "==": ["!="],
    "!=": ["=="],
    "&&": ["||"],
    "||": ["&&"],
    "+": ["-"],
    "-": ["+"],
    "*": ["/"],
    "/": ["*"],
    "%": ["*"],
    "<<": [">>"],
    ">>": ["<<"],
    "&": ["|"],
    "|": ["&"],
    "++": ["--"],
    "--": ["++"],
    "+=": ["-="],
    "-=": ["+="],
    "|=": ["="],
    "&=": ["="],
}
# An operator between two operands, spaced as the formatter does it; or ++ and --.
OPERATOR = re.compile(
    r"(?<= )(<=|>=|==|!=|&&|\|\||<<|>>|\+=|-=|\|=|&=|[-+*/%<>&|])(?=\s)|\+\+|--"
)
NUMBER = re.compile(r"(?<![\w.])(\d+)(?![\w.xX])")
WORD = re.compile(r"\b(true|false)\b")
CONDITION = re.compile(r"^\s*(?:\} else )?(?:if|while) (\(.*\)) ?\{?$")
STATEMENT = re.compile(
    r"^\s+(?:[\w\[\]*>.-]+ [-+|&]?= .+|[\w>.-]+\(.*\)|\*?[\w>.-]+(?:\+\+|--));$"
)


@dataclass(frozen=True)
class Mutant:
    """One changed line of one file."""

    file: str
    line: int  # counted from 0
    old: str
    new: str

    def name(self) -> str:
        """Its line in survivors.txt, before the reason."""
        return f"{self.file}.c: {self.old.strip()} => {self.new.strip()}"


def masked(text: str) -> str:
    """Blank comments, strings and characters."""
    pattern = r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'"
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.DOTALL)


def changes(line: str, mask: str) -> Iterator[str]:
    """All changes of a line."""
    for m in OPERATOR.finditer(mask):
        for other in SWAPS[m[0]]:
            yield line[: m.start()] + other + line[m.end() :]
    for m in NUMBER.finditer(mask):
        for value in {int(m[1]) + 1, max(int(m[1]) - 1, 0)} - {int(m[1])}:
            yield line[: m.start()] + str(value) + line[m.end() :]
    for m in WORD.finditer(mask):
        yield (
            line[: m.start()]
            + ("false" if m[0] == "true" else "true")
            + line[m.end() :]
        )
    if m := CONDITION.match(mask):
        inside = line[m.start(1) : m.end(1)]
        if inside.count("(") == inside.count(")"):
            yield line[: m.start(1)] + f"(!{inside})" + line[m.end(1) :]
    if STATEMENT.match(mask) and mask.count("(") == mask.count(")"):
        yield re.match(r"\s*", line)[0] + ";"  # type: ignore[index]


def core_files() -> list[Path]:
    """All files of the core."""
    found = (ROOT / "csrc").rglob("*.c")
    return sorted(path for path in found if path.parent.name != "python")


def source_of(file: str) -> Path:
    """Return where FILE.c is, one of those that know no thread."""
    folders = {"wire", "engine", "api"}
    (path,) = (p for p in core_files() if p.stem == file and p.parent.name in folders)
    return path


def object_of(path: Path) -> str:
    """Name the object of a file of csrc/: two folders may have the same name."""
    return "-".join(path.relative_to(ROOT / "csrc").with_suffix(".o").parts)


def mutants_of(file: str) -> list[Mutant]:
    """All mutants of FILE.c, in order."""
    text = source_of(file).read_text()
    pairs = zip(text.split("\n"), masked(text).split("\n"), strict=True)
    return [
        Mutant(file, number, line, new)
        for number, (line, mask) in enumerate(pairs)
        if not mask.startswith(("#", "static const", "}"))
        and "assert(" not in line  # it only repeats what the code around it ensures
        for new in changes(line, mask)
    ]


def draw(pool: list[Mutant], count: int, seed: int) -> list[Mutant]:
    """Draw some by hashes of their names, so that a changed line changes no others."""

    def lot(mutant: Mutant) -> bytes:
        return hashlib.sha256(f"{seed} {mutant.name()}".encode()).digest()

    return sorted(pool, key=lot)[:count]
