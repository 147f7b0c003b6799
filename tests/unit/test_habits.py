"""The habits of the house, which no linter knows: sizes, borders, words, the paper beside it."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("models", "dicom", "service", "workers", "scripts")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MAXIMUM_FILE_LINES = 300
MAXIMUM_FUNCTION_LINES = 40
ADRS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    return {relative(path): ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}


def functions(
    trees: dict[str, ast.Module],
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}:{node.lineno} {node.name}", node


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from ``def`` to the end, without the docstring."""
    whole = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node) is None:
        return whole
    docstring = node.body[0]
    return whole - ((docstring.end_lineno or docstring.lineno) - docstring.lineno + 1)


def test_no_source_file_is_longer_than_a_reader_s_patience() -> None:
    lengths = {relative(path): path.read_text(encoding="utf-8").count("\n") for path in SOURCES}
    assert not {name: n for name, n in lengths.items() if n >= MAXIMUM_FILE_LINES}


def test_no_function_is_longer_than_a_screen(trees: dict[str, ast.Module]) -> None:
    lengths = {name: code_lines(node) for name, node in functions(trees)}
    assert not {name: n for name, n in lengths.items() if n > MAXIMUM_FUNCTION_LINES}


def test_every_module_says_what_it_is_for(trees: dict[str, ast.Module]) -> None:
    assert not [name for name, tree in trees.items() if not ast.get_docstring(tree)]


def catches_everything(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.id if isinstance(handler.type, ast.Name) else ""
    return handler.type is None or caught in {"Exception", "BaseException"}


def raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_everything_is_caught_at_the_three_borders_only(trees: dict[str, ast.Module]) -> None:
    # C-STORE, the task shell and HTTP. The line itself says so, for the eyes of a reviewer.
    for name, tree in trees.items():
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and catches_everything(node):
                line = lines[node.lineno - 1]
                assert raises_again(node) or "border" in line, f"{name}:{node.lineno}"


def test_nothing_is_left_for_later() -> None:
    unfinished = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|raise NotImplementedError")
    assert not [
        relative(path) for path in SOURCES if unfinished.search(path.read_text(encoding="utf-8"))
    ]


def test_the_four_packages_open_with_values_and_errors() -> None:
    # workers has none of its own: what flows through it belongs to the floors below.
    for package in ("models", "dicom", "service"):
        assert (ROOT / package / "values.py").exists()
        assert (ROOT / package / "errors.py").exists()


def test_no_module_is_a_drawer_for_everything() -> None:
    drawers = {"utils", "util", "helper", "helpers", "common", "misc", "manager"}
    assert not [relative(path) for path in SOURCES if path.stem in drawers]


def test_tests_are_not_packages() -> None:
    # pytest's importlib mode; an __init__.py would give two tests of one name one module.
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_no_dicom_file_outside_the_golden_ones() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    files = [name for name in listed if name.lower().endswith((".dcm", ".dicom"))]
    assert not [name for name in files if not name.startswith("tests/golden/")]


def test_no_file_names_a_package_index() -> None:
    names = ["Makefile", ".ci/run", "pyproject.toml", "docker-compose.yml"]
    files = [ROOT / name for name in names] + sorted((ROOT / "scripts").rglob("*.sh"))
    files += sorted((ROOT / "requirements").iterdir())
    files += sorted((ROOT / "deploy").rglob("*.Dockerfile"))
    option = re.compile(r"--(extra-)?index-url|PIP_(EXTRA_)?INDEX_URL|--trusted-host")
    assert not [relative(path) for path in files if option.search(path.read_text(encoding="utf-8"))]


def test_decisions_are_numbered_without_gaps_and_listed() -> None:
    assert [int(path.name[:4]) for path in ADRS] == list(range(1, len(ADRS) + 1))
    listing = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    assert all(path.name in listing for path in ADRS)


@pytest.mark.parametrize("adr", ADRS, ids=lambda path: path.stem)
def test_a_decision_has_its_context_and_its_price(adr: Path) -> None:
    text = adr.read_text(encoding="utf-8")
    assert text.startswith(f"# {adr.name[:4]}. ")
    for part in ("**Context.**", "**Decision.**", "**Price.**"):
        assert part in text


def test_links_between_our_pages_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    link = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
    links = [(page, to) for page in pages for to in link.findall(page.read_text(encoding="utf-8"))]
    assert links
    assert not [(relative(page), to) for page, to in links if not (page.parent / to).exists()]


def test_the_changelog_tells_the_clinical_effect_of_every_release() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert releases
    assert all("*Clinical effect*" in release for release in releases)
