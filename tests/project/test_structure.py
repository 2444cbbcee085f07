"""The layers and imports of the packages, their docstrings, and the size of their functions."""

import ast
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import fake_server
import translation_client

ROOT = Path(__file__).parents[2]

LAYERS = (
    {"_exports"},
    {"_clock", "_config", "_auth", "_exceptions", "_logging"},
    {"_models"},
    {"_polling", "_transports", "services", "schedule"},
    {"_jobs"},
    {"_client"},
    {"_cli", "__init__"},
    {"__main__", "_pytest_plugin"},
)
"""The modules and packages of `translation_client`, the lowest layer first."""


def modules_of(package: ModuleType) -> dict[str, Path]:
    folder = Path(str(package.__file__)).parent
    return {
        ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__"): path
        for path in folder.rglob("*.py")
        if path != folder / "__init__.py"
    }


def siblings_imported_by(path: Path, package: ModuleType) -> set[str]:
    """Return the modules of a package that a file imports at run time, at any place in the file."""
    folder = Path(str(package.__file__)).parent
    tree = ast.parse(path.read_text())
    for_typing = imports_for_typing(tree)
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not node.level or node in for_typing:
            continue
        base = path.parents[node.level - 1].relative_to(folder).parts
        target = [*base, *(node.module or "").split(".")] if node.module else list(base)
        found |= {".".join(target)} if node.module else {".".join([*target, alias.name]) for alias in node.names}
    return found


def imports_for_typing(tree: ast.Module) -> list[ast.stmt]:
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return [statement for block in blocks for statement in block.body]


def top_level_of(module: str) -> str:
    """Return the module or package directly below `translation_client` that a module belongs to."""
    return module.split(".")[0] or "__init__"


def test_every_module_has_a_layer() -> None:
    """A new module has to be added to `LAYERS`."""
    assert {top_level_of(name) for name in modules_of(translation_client)} | {"__init__"} == set().union(*LAYERS)


@pytest.mark.parametrize("number", range(len(LAYERS)))
def test_a_module_imports_only_lower_layers(number: int) -> None:
    """Or modules of its own package. Packages of the same layer do not import each other."""
    lower = set().union(*LAYERS[:number])
    modules = {**modules_of(translation_client), "": Path(str(translation_client.__file__))}

    for name, path in modules.items():
        top_level = top_level_of(name)
        if top_level in LAYERS[number]:
            assert {top_level_of(one) for one in siblings_imported_by(path, translation_client)} <= lower | {
                top_level
            }, name


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("arguments", "is_run"),
    [
        (["tests/schedule"], False),
        (["tests/schedule/test_plans.py"], True),
        (["tests/schedule", "-m", "exhaustive"], True),
    ],
)
def test_a_folder_of_tests_leaves_out_the_exhaustive_ones(arguments: list[str], is_run: bool) -> None:
    """A file or a marker chooses them."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)

    assert ("tests/schedule/test_plans.py::" in done.stdout) == is_run


@pytest.mark.exhaustive
def test_no_test_module_imports_another() -> None:
    """What several tests use is in `tests/support`."""
    paths = list((ROOT / "tests").rglob("*.py"))
    tests = {path.stem for path in paths if path.name.startswith("test_")} | {"conftest"}
    nodes = [(path.name, node) for path in paths for node in ast.walk(ast.parse(path.read_text()))]

    assert [name for name, node in nodes if isinstance(node, ast.ImportFrom) and node.module in tests] == []


@pytest.mark.parametrize("package", [translation_client, fake_server])
def test_there_are_no_circular_imports(package: ModuleType) -> None:
    """Imports at any place in a module count."""
    modules = modules_of(package)
    imports = {name: siblings_imported_by(path, package) & set(modules) for name, path in modules.items()}
    while free := [name for name, needed in imports.items() if not needed]:
        for name in free:
            del imports[name]
        imports = {name: needed - set(free) for name, needed in imports.items()}

    assert not imports


@pytest.mark.parametrize(
    ("package", "other"), [("translation_client", "fake_server"), ("fake_server", "translation_client")]
)
def test_the_client_and_the_fake_server_do_not_import_each_other(package: str, other: str) -> None:
    """At no place in a module, except the pytest plug-in, for its fixture."""
    paths = [path for path in (ROOT / package).rglob("*.py") if path.name != "_pytest_plugin.py"]
    assert ROOT / package / "__init__.py" in paths
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert other not in [name.split(".")[0] for name in names], path


def test_only_the_polling_module_states_a_limit_of_repetition() -> None:
    """The others use no strategy of tenacity, and hand `max_retries` and `max_faults` on without a computation."""
    limits = {"max_retries", "max_faults"}
    for top_level in ("_jobs", "_client", "_transports", "schedule"):
        paths = [path for name, path in modules_of(translation_client).items() if top_level_of(name) == top_level]
        for node in [node for path in paths for node in ast.walk(ast.parse(path.read_text()))]:
            if isinstance(node, ast.Import):
                assert "tenacity" not in [alias.name.partition(".")[0] for alias in node.names], top_level
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tenacity"):
                assert {alias.name for alias in node.names} <= {"RetryCallState", "Retrying", "wait_base"}, top_level
            if isinstance(node, (ast.Compare, ast.BinOp)) or (isinstance(node, ast.Call) and is_computation(node)):
                used = {child.attr for child in ast.iter_child_nodes(node) if isinstance(child, ast.Attribute)}
                assert not used & limits, f"{top_level}: {ast.unparse(node)}"


def is_computation(call: ast.Call) -> bool:
    return ast.unparse(call.func) in ("min", "max", "abs", "math.isfinite", "math.isinf", "range")


def test_each_library_is_imported_only_by_the_packages_listed_for_it() -> None:
    """Retries do not use HTTP, transports do not use retries, and services use neither."""
    libraries = ("requests", "tenacity", "structlog", "rich", "sqlite3", "aiohttp")
    users: dict[str, set[str]] = {library: set() for library in libraries}
    for name, path in modules_of(translation_client).items():
        for node in ast.walk(ast.parse(path.read_text())):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            imported += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for library in {one.split(".")[0] for one in imported} & set(users):
                users[library].add(name.split(".")[0])

    assert users == {
        "requests": {"_auth", "_client", "_exceptions", "_transports"},
        "tenacity": {"_client", "_jobs", "_polling", "schedule"},
        "structlog": {"_logging"},
        "rich": {"_cli"},
        "sqlite3": {"schedule"},
        "aiohttp": {"_client", "_transports"},
    }


def test_each_module_has_a_docstring_that_is_no_question() -> None:
    """The first line of the docstring is tested."""
    for package in (translation_client, fake_server):
        for name, path in modules_of(package).items():
            first = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
            assert first, name
            assert "?" not in first, name


def test_the_first_line_of_a_docstring_is_one_plain_statement() -> None:
    """It is neither a question nor an indirect one."""
    hidden = ("Whether ", "How ", "What ", "When ", "Why ", "Who ", "Where ", "Let ")
    for where, docstring in docstrings():
        line, _, rest = docstring.partition("\n")
        assert line.endswith((".", ":")), f"{where}: {line}"
        assert not rest or rest.startswith("\n"), f"{where}: {line}"
        assert ";" not in line, f"{where}: {line}"
        assert not line.startswith(hidden), f"{where}: {line}"


def docstrings() -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each docstring in both packages."""
    for package in (translation_client, fake_server):
        for name, path in {**modules_of(package), "": Path(str(package.__file__))}.items():
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                    docstring = ast.get_docstring(node)
                    if docstring is not None:
                        yield f"{package.__name__}.{name}:{getattr(node, 'name', '')}", docstring


def test_functions_are_small() -> None:
    """The bodies have at most 40 lines without the docstring, and half of them fewer than 10."""
    sizes: dict[str, int] = {}
    for package in (translation_client, fake_server):
        for name, path in modules_of(package).items():
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    doc = ast.get_docstring(node, clean=False)
                    body = node.body[1:] if doc is not None and len(node.body) > 1 else node.body
                    size = (node.end_lineno or 0) - body[0].lineno + 1
                    sizes[f"{package.__name__}.{name}:{node.lineno}:{node.name}"] = size

    assert not {name: size for name, size in sizes.items() if size > 40}
    assert statistics.median(sizes.values()) < 10
