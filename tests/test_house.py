"""What the house promises about itself: imports run one way, names are what is promised, the packages do not meet."""

import ast
import inspect
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

import fake_server
import translation_client

ROOT = Path(__file__).parent.parent

ORDER = [
    "json_values",
    "errors",
    "clock",
    "origins",
    "headers",
    "addresses",
    "escapes",
    "redaction",
    "problems",
    "models",
    "messages",
    "faults",
    "hints",
    "arguments",
    "policy",
    "logs",
    "progress",
    "purposes",
    "endings",
    "services.paths",
    "services.places",
    "services.words",
    "services.promises",
    "services.ordering",
    "services.posting",
    "services.extras",
    "services.service",
    "services.reference",
    "services.heygen",
    "services.elevenlabs",
    "services.azure",
    "services",
    "transport.guard",
    "transport.forks",
    "transport.names",
    "transport.framing",
    "transport.responses",
    "transport.decoding",
    "transport.body",
    "transport.receiving",
    "transport.redirects",
    "transport.sockets",
    "transport.payload",
    "transport.sessions",
    "transport.breakdowns",
    "transport.transport",
    "transport",
    "schedule.laws",
    "schedule.brackets",
    "schedule.observations",
    "schedule.forecasts",
    "schedule.relatives",
    "schedule.optimum",
    "schedule.outlooks",
    "schedule.plans",
    "schedule",
    "history_file",
    "history",
    "planner",
    "pace",
    "lessons",
    "learning",
    "learned",
    "strategies",
    "polling",
    "lines",
    "tools",
    "call_log",
    "calls",
    "particulars",
    "moments",
    "waiting",
    "blocking",
    "commissions",
    "submission",
    "sniffing",
    "remote_file",
    "partfile",
    "download",
    "fleet.bulk",
    "errands",
    "credentials",
    "assembly",
    "questions",
    "orders",
    "extras",
    "fleet.budget",
    "fleet.agenda",
    "fleet.terms",
    "fleet.intake",
    "fleet.members",
    "fleet.results",
    "fleet.signals",
    "fleet.roll",
    "fleet.fleet",
    "fleet",
    "aio.cuts",
    "aio.slots",
    "aio.bodies",
    "aio.response_end",
    "aio.sessions",
    "aio.transport",
    "aio.line",
    "aio.questions",
    "aio.orders",
    "aio.client",
    "aio.threaded_line",
    "aio.threads",
    "aio",
    "fleets",
    "client",
    "terminal",
    "demo",
    "timetable",
    "command_line",
    "output",
    "cli_of_many",
    "cli",
    "__main__",
]
FAKE_ORDER = [
    "faults",
    "notation",
    "scenario",
    "services",
    "jobs",
    "lab",
    "noise",
    "replies",
    "files",
    "delivery",
    "exchange",
    "desk",
    "storage",
    "control",
    "dialects.dialect",
    "dialects.reference",
    "dialects.heygen_shapes",
    "dialects.heygen",
    "dialects.elevenlabs",
    "dialects.azure_shapes",
    "dialects.azure",
    "dialects",
    "app",
    "adapter",
    "connections",
    "server",
    "pytest_plugin",
    "cli",
    "__main__",
]
STRANGERS = [
    ("services", "transport"),
    ("services", "polling"),
    ("transport", "polling"),
    ("transport", "strategies"),
    ("services", "strategies"),
    ("schedule", "services"),
    ("schedule", "transport"),
    ("schedule", "polling"),
    ("schedule", "history"),
]


def modules_of(package: ModuleType) -> dict[str, Path]:
    folder = Path(str(package.__file__)).parent
    return {
        ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__"): path
        for path in folder.rglob("*.py")
        if path != folder / "__init__.py"
    }


def siblings_imported_by(path: Path, package: ModuleType) -> set[str]:
    """The modules of a package that a file imports at run time, wherever in it the import stands."""
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


@pytest.mark.parametrize(("package", "order"), [(translation_client, ORDER), (fake_server, FAKE_ORDER)])
def test_every_module_has_a_place(package: ModuleType, order: list[str]) -> None:
    """A new one is given one, or the suite fails."""
    assert set(modules_of(package)) == set(order)


@pytest.mark.parametrize(
    ("package", "order", "name"),
    [
        (package, order, name)
        for package, order in ((translation_client, ORDER), (fake_server, FAKE_ORDER))
        for name in order
    ],
)
def test_imports_point_down(package: ModuleType, order: list[str], name: str) -> None:
    """A module imports only modules that are listed before it."""
    assert siblings_imported_by(modules_of(package)[name], package) <= set(order[: order.index(name)])


@pytest.mark.parametrize(("one", "other"), STRANGERS)
def test_strangers_stay_strangers(one: str, other: str) -> None:
    """A linear order alone would let them meet."""
    for name, path in modules_of(translation_client).items():
        if name.split(".")[0] == one:
            assert not [met for met in siblings_imported_by(path, translation_client) if met.split(".")[0] == other]


@pytest.mark.parametrize(
    ("package", "other"), [("translation_client", "fake_server"), ("fake_server", "translation_client")]
)
def test_the_two_packages_share_only_the_wire(package: str, other: str) -> None:
    """Neither imports the other, wherever."""
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert other not in [name.split(".")[0] for name in names], path


def test_requests_and_tenacity_stay_in_their_rooms() -> None:
    """Who repeats knows no HTTP, who calls knows no repeating, and services know neither."""
    libraries = ("requests", "tenacity", "structlog", "rich", "sqlite3", "aiohttp")
    users: dict[str, set[str]] = {library: set() for library in libraries}
    for name, path in modules_of(translation_client).items():
        for node in ast.walk(ast.parse(path.read_text())):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            imported += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for library in {one.split(".")[0] for one in imported} & set(users):
                users[library].add(name.split(".")[0])

    assert users == {
        "requests": {"addresses", "aio", "client", "errors", "lines", "transport"},
        "tenacity": {"aio", "call_log", "calls", "client", "learned", "pace", "polling", "strategies", "waiting"},
        "structlog": {"logs"},
        "rich": {"terminal"},
        "sqlite3": {"history", "history_file"},
        "aiohttp": {"aio"},
    }


@pytest.mark.parametrize("package", [translation_client, fake_server])
def test_public_names_are_sorted_true_and_documented(package: ModuleType) -> None:
    """What is importable is what is promised."""
    assert package.__all__ == sorted(package.__all__)
    for name in package.__all__:
        assert inspect.getdoc(getattr(package, name)), name


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """Also with a lazy `__getattr__`."""
    for package in (translation_client, fake_server):
        with pytest.raises(AttributeError, match="nothing_like_that"):
            _ = package.nothing_like_that


def test_the_version_has_one_home() -> None:
    """The metadata; the changelog's newest entry is of it."""
    version = metadata.version("translation-client")

    assert translation_client.__version__ == version
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_types_are_shipped() -> None:
    """For the users' own mypy."""
    for package in (translation_client, fake_server):
        assert Path(str(package.__file__)).with_name("py.typed").exists()


def test_the_core_has_three_dependencies() -> None:
    """Everything else is an extra."""
    needed = [line for line in metadata.requires("translation-client") or [] if "extra ==" not in line]

    assert sorted(line.split(">=")[0] for line in needed) == ["requests", "structlog", "tenacity"]


def test_importing_configures_nothing() -> None:
    """No handler, no structlog configuration, no Flask."""
    code = (
        "import logging, sys, structlog, translation_client, fake_server;"
        "assert not structlog.is_configured();"
        "assert not logging.getLogger().handlers and not logging.getLogger('translation_client').handlers;"
        "assert 'flask' not in sys.modules and 'argparse' not in sys.modules"
    )

    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=ROOT)


def test_a_misspelled_name_is_found_by_mypy(tmp_path: Path) -> None:
    """A module with a `__getattr__` would let it pass."""
    mypy = pytest.importorskip("mypy.api", reason="mypy is not here")
    script = tmp_path / "script.py"
    script.write_text(
        "from fake_server import create_app\n"
        "from translation_client import VideoTranslatonClient\n"
        "create_app(1, 2, 3)\n"
    )

    out = mypy.run(["--strict", str(script)])[0]
    assert 'has no attribute "VideoTranslatonClient"' in out
    assert 'Too many arguments for "create_app"' in out


def test_functions_are_small() -> None:
    """Thirty lines without the docstring are the stop."""
    for package in (translation_client, fake_server):
        for path in modules_of(package).values():
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef):
                    doc = ast.get_docstring(node, clean=False)
                    size = (node.end_lineno or 0) - node.lineno + 1 - (doc.count("\n") + 1 if doc else 0)
                    limit = 60 if node.name == "__init__" else 30  # the client's arguments have a line each
                    assert size <= limit, f"{path.name}:{node.name} has {size} lines"
