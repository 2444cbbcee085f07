"""The pytest plug-in in the test suite of another project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

USES_THE_FIXTURE = "def test_it(fake_translation_server):\n    assert fake_translation_server.url\n"
SENDS_A_REQUEST = """
from translation_client import VideoTranslationClient

def test_it(fake_translation_server):
    with VideoTranslationClient(fake_translation_server.url) as client:
        assert client.check().status == "completed"
    assert [request.path for request in fake_translation_server.requests] == ["/status"]
"""
HAS_ITS_OWN = "import fake_server\n\ndef test_it():\n    assert fake_server.PORT == 1\n"


def run_pytest(project: Path) -> tuple[int, str]:
    """Run pytest in a project with the plug-in alone, and return its exit code and output."""
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": f"{project}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "translation_client._pytest_plugin"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_a_project_may_have_a_module_called_fake_server(tmp_path: Path) -> None:
    """The plug-in imports the package `fake_server` only for its fixture."""
    (tmp_path / "fake_server.py").write_text("PORT = 1\n")
    (tmp_path / "test_it.py").write_text(HAS_ITS_OWN)

    code, out = run_pytest(tmp_path)
    assert (code, "1 passed" in out) == (0, True), out


def test_the_fixture_names_a_module_that_hides_the_fake_server(tmp_path: Path) -> None:
    """Instead of an error about a name that this module lacks."""
    (tmp_path / "fake_server.py").write_text("PORT = 1\n")
    (tmp_path / "test_it.py").write_text(USES_THE_FIXTURE)

    code, out = run_pytest(tmp_path)
    assert code == 1
    assert f"fake_translation_server needs the package fake_server of translation-client, but {tmp_path}" in out


def test_the_fixture_names_the_missing_extra(tmp_path: Path) -> None:
    """Not only the missing module."""
    (tmp_path / "flask.py").write_text("raise ModuleNotFoundError(\"No module named 'flask'\", name='flask')\n")
    (tmp_path / "test_it.py").write_text(USES_THE_FIXTURE)

    code, out = run_pytest(tmp_path)
    assert code == 1
    assert "needs the extra: pip install 'translation-client[server]' (No module named 'flask')" in out


def test_the_fixture_is_a_running_server_whose_jobs_finish_immediately(tmp_path: Path) -> None:
    """The project has no other module called `fake_server`."""
    (tmp_path / "test_it.py").write_text(SENDS_A_REQUEST)

    code, out = run_pytest(tmp_path)
    assert (code, "1 passed" in out) == (0, True), out


def test_the_plug_in_imports_no_http_library() -> None:
    """gevent has to replace `ssl` before urllib3 is imported, which the conftest of a project may do."""
    code = "import sys, translation_client._pytest_plugin; assert not {'fake_server', 'requests', 'urllib3'} & set(sys.modules)"

    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
