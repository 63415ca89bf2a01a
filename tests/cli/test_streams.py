"""A console that lacks some letters, as one of Windows does, gets them spelled out."""

import io
import sys

import pytest

from trajmap.cli import main

ENCODINGS = pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])


def shown(monkeypatch, encoding, *arguments):
    """Exit status of a command and what it writes to both streams of a console; they are left as they were."""
    written = io.BytesIO()
    with monkeypatch.context() as patch:
        for name in ("stdout", "stderr"):
            patch.setattr(sys, name, io.TextIOWrapper(written, encoding=encoding, write_through=True))
        status = main([str(argument) for argument in arguments])
        assert sys.stdout.errors == sys.stderr.errors == "strict"
        return status, written.getvalue().decode(encoding)


@ENCODINGS
def test_a_result_is_shown(encoding, monkeypatch, shared_run_folder):
    status, text = shown(monkeypatch, encoding, "info", shared_run_folder)
    assert status == 0
    arrow = "→" if encoding == "utf-8" else r"\u2192"
    assert f"2 {arrow} 0.1667" in text


@ENCODINGS
def test_an_error_is_shown(encoding, monkeypatch, tmp_path):
    status, text = shown(monkeypatch, encoding, "info", tmp_path / "λ")
    assert status == 1
    assert ("λ" if encoding == "utf-8" else r"\u03bb") in text


def test_a_stream_without_an_encoding_is_left_alone(monkeypatch, shared_run_folder):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", io.StringIO())
        assert main(["info", str(shared_run_folder)]) == 0
        assert "→" in sys.stdout.getvalue()
