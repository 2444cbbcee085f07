"""The public names of the packages, their metadata, and what an import does."""

import importlib
import inspect
import pickle
import pydoc
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import pytest
import requests

import fake_server
import translation_client
import translation_client.schedule
import translation_client.services

ROOT = Path(__file__).parents[2]

PUBLIC_PACKAGES = [translation_client, translation_client.schedule, translation_client.services, fake_server]


def public_classes() -> list[type]:
    names = [(package, name) for package in PUBLIC_PACKAGES for name in package.__all__]
    values = [getattr(package, name) for package, name in names]
    return list(dict.fromkeys(value for value in values if isinstance(value, type)))


@pytest.mark.parametrize("package", PUBLIC_PACKAGES)
def test_public_names_are_sorted_importable_and_documented(package: ModuleType) -> None:
    """The public names are those in `__all__`."""
    assert package.__all__ == sorted(package.__all__)
    for name in package.__all__:
        assert inspect.getdoc(getattr(package, name)), name


@pytest.mark.parametrize("name", translation_client.__all__)
def test_a_public_name_has_its_package_as_module(name: str) -> None:
    """Tracebacks and pickles show it. The module that defines the name may change."""
    assert getattr(translation_client, name).__module__ == "translation_client"


@pytest.mark.parametrize("public", public_classes())
def test_help_names_no_private_module(public: type) -> None:
    """Except that Python 3.13 shows the module of a method before its class, where pydantic and `inspect` look."""
    shown = re.sub(r" from translation_client[\w.]*", "", pydoc.plain(pydoc.render_doc(public)))

    assert [line for line in shown.splitlines() if re.search(r"translation_client\._|\.\w+\._", line)] == []


@pytest.mark.parametrize("public", public_classes())
def test_a_class_can_be_imported_by_the_name_that_help_shows(public: type) -> None:
    """Its bases, and the classes in its type hints, too: a public package has each, if not in its `__all__`."""
    shown = pydoc.plain(pydoc.render_doc(public))

    for module, name in re.findall(r"\b(translation_client(?:\.[a-z]\w*)*)\.([A-Z]\w+)", shown):
        assert any(hasattr(package, name) for package in PUBLIC_PACKAGES), name
        assert isinstance(getattr(importlib.import_module(module), name), type), name


@pytest.mark.parametrize("name", translation_client.__all__)
def test_getsource_works_for_public_methods_and_refuses_public_classes(name: str) -> None:
    """Python looks for a class in the file of its module, which is the package. It must not return other lines."""
    public = getattr(translation_client, name)
    package = str(Path(translation_client.__file__).parent)

    with pytest.raises(OSError, match=r"source|class"):
        inspect.getsource(public)
    for method_name, method in vars(public).items():
        is_written = inspect.isfunction(method) and method.__code__.co_filename.startswith(package)
        if is_written and not method_name.startswith("_"):
            assert f"def {method.__name__}(" in inspect.getsource(method), method_name


METHODS = [
    method
    for public in public_classes()
    for name, method in inspect.getmembers(public, lambda one: inspect.isfunction(one) or inspect.ismethod(one))
    if not name.startswith("_") and method.__module__.startswith(("translation_client", "fake_server"))
] + [translation_client.wait_learned.__call__]


@pytest.mark.parametrize("method", METHODS, ids=[method.__qualname__ for method in METHODS])
def test_pydantic_reads_the_type_hints_of_a_public_method(method: Any) -> None:
    """`validate_call` looks for their names in the module of the method."""
    pydantic = pytest.importorskip("pydantic")

    pydantic.validate_call(config=pydantic.ConfigDict(arbitrary_types_allowed=True))(method)


def undefined_name_in_hints(of: type) -> str | None:
    """Return the message of the error for a name in the type hints of a class that cannot be resolved; None for none."""
    try:
        get_type_hints(of)
    except NameError as error:
        return str(error)
    return None


@pytest.mark.parametrize("public", public_classes())
def test_get_type_hints_works_for_public_classes(public: type) -> None:
    """Errors that are those of requests have its type hints too. Those of version 2.34 name a class that is not there."""
    expected = (
        undefined_name_in_hints(requests.RequestException) if issubclass(public, requests.RequestException) else None
    )

    assert undefined_name_in_hints(public) == expected


@pytest.mark.parametrize("public", public_classes())
def test_get_type_hints_works_for_public_methods(public: type) -> None:
    """Those of the constructor too, which a framework reads that builds the object."""
    for name, method in inspect.getmembers(public, inspect.isfunction):
        if method.__module__.split(".")[0] in ("translation_client", "fake_server") and name not in ("__new__",):
            assert isinstance(get_type_hints(method), dict), name


@pytest.mark.parametrize("public", public_classes())
def test_pydantic_accepts_a_public_class_as_a_field(public: type) -> None:
    """With `arbitrary_types_allowed`, as it is no class of pydantic's own."""
    pydantic = pytest.importorskip("pydantic")
    pydantic.create_model("Model", field=(public, ...), __config__=pydantic.ConfigDict(arbitrary_types_allowed=True))


def test_fastapi_accepts_job_as_a_response_model() -> None:
    """Its type alone is enough. pydantic reads an equal job from the JSON of a job."""
    fastapi = pytest.importorskip("fastapi")
    pydantic = pytest.importorskip("pydantic")
    app = fastapi.FastAPI()

    def job_of_request() -> translation_client.Job:
        raise NotImplementedError

    app.add_api_route("/", job_of_request)
    job = translation_client.Job("job-1", translation_client.TranslationStatus.PENDING, "processing", progress=0.5)
    schemas = app.openapi()["components"]["schemas"]

    assert schemas["Job"]["properties"].keys() == pydantic.TypeAdapter(type(job)).dump_python(job).keys()
    assert schemas["TranslationStatus"]["enum"] == ["pending", "completed", "error"]
    assert pydantic.TypeAdapter(type(job)).validate_json(pydantic.TypeAdapter(type(job)).dump_json(job)) == job


def test_a_pickle_names_no_private_module() -> None:
    """It can be read after a module was moved."""
    job = translation_client.Job("job-1", translation_client.TranslationStatus.ERROR, "failed")
    error = translation_client.RequestFailed("x", job=job, problem=translation_client.Problem({"code": "gone"}))
    features = translation_client.schedule.JobFeatures("dub", 60.0)
    pickled = pickle.dumps((error, features))

    assert b"translation_client._" not in pickled
    assert pickle.loads(pickled)[0].job == job
    assert pickle.loads(pickled)[1] == features


@pytest.mark.parametrize("home", ["_exceptions", "_models", "services", "schedule.wait", "schedule.history"])
def test_a_class_has_its_package_as_module_as_soon_as_its_submodule_is_imported(home: str) -> None:
    """A pickle that a part of the package makes names the package, too."""
    code = (
        f"import importlib, translation_client; part = importlib.import_module('translation_client.{home}');"
        "names = set(translation_client.__all__) & set(vars(part)); assert names;"
        "assert {vars(part)[name].__module__ for name in names} == {'translation_client'}"
    )

    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_dir_lists_all_public_names_before_they_are_imported() -> None:
    """They are imported only when they are needed."""
    code = (
        "import sys, translation_client; names = dir(translation_client); assert 'requests' not in sys.modules;"
        "assert {*translation_client.__all__, 'schedule', 'services'} < set(names); from translation_client import *"
    )

    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("name", ["schedule.plan_checks", "services.get_service", "Job.from_dict"])
def test_a_public_name_needs_no_other_import(name: str) -> None:
    """Nor that another name was used before."""
    subprocess.run(
        [sys.executable, "-c", f"import translation_client; translation_client.{name}"], check=True, cwd=ROOT
    )


def test_a_public_name_that_was_replaced_stays_replaced() -> None:
    """Also after others are imported."""
    code = "import translation_client as t; t.Job = None; t.Service; assert t.Job is None"

    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_a_failed_import_of_a_public_name_says_why(tmp_path: Path) -> None:
    """Also if it raises an `AttributeError`, which would mean that the name does not exist."""
    (tmp_path / "structlog.py").write_text("raise AttributeError('the cause')\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from translation_client import Job"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)

    assert "Job of translation_client cannot be imported: AttributeError('the cause')" in done.stderr


def test_an_unknown_name_of_a_package_raises_attribute_error() -> None:
    """Also with a lazy `__getattr__`."""
    for package in (translation_client, fake_server):
        with pytest.raises(AttributeError, match="nothing_like_that"):
            _ = package.nothing_like_that


def test_the_version_is_that_of_the_metadata_and_has_a_changelog_entry() -> None:
    """The entry is the latest one of CHANGELOG.md, with its date."""
    version = metadata.version("translation-client")
    headings = re.findall(r"^## (.*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    latest = next(heading for heading in headings if heading != "Unreleased")

    assert translation_client.__version__ == version
    assert re.fullmatch(rf"{re.escape(version)} - \d{{4}}-\d\d-\d\d", latest)


def test_both_packages_have_a_py_typed_file() -> None:
    """For mypy in the projects of users."""
    for package in (translation_client, fake_server):
        assert Path(str(package.__file__)).with_name("py.typed").exists()


def test_the_package_requires_only_requests_structlog_and_tenacity() -> None:
    """Everything else is an extra."""
    needed = [line for line in metadata.requires("translation-client") or [] if "extra ==" not in line]

    assert sorted(line.split(">=")[0] for line in needed) == ["requests", "structlog", "tenacity"]


def test_import_configures_no_logging() -> None:
    """It adds no handler, does not configure structlog, and imports neither Flask nor argparse."""
    code = (
        "import logging, sys, structlog, translation_client, fake_server;"
        "assert not structlog.is_configured();"
        "assert not logging.getLogger().handlers and not logging.getLogger('translation_client').handlers;"
        "assert 'flask' not in sys.modules and 'argparse' not in sys.modules"
    )

    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=ROOT)


def test_mypy_finds_a_misspelled_public_name(tmp_path: Path) -> None:
    """A module with a `__getattr__` would let it pass. mypy also finds wrong arguments."""
    mypy = pytest.importorskip("mypy.api", reason="mypy is not here")
    script = tmp_path / "script.py"
    script.write_text(
        "from fake_server import create_app\nfrom translation_client import VideoTranslatonClient\ncreate_app(1, 2, 3)\n"
    )

    out = mypy.run(["--strict", str(script)])[0]
    assert 'has no attribute "VideoTranslatonClient"' in out
    assert 'Too many arguments for "create_app"' in out
