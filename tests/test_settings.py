"""Settings: defaults without a file, the file, the environment over it, and mistakes explained."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from imgopt_pipeline.errors import SettingsError
from imgopt_pipeline.settings import Settings, load_settings

TOP = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGOPT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("IMGOPT_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


def load(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "imgopt.yaml"
    path.write_text(text)
    return load_settings()


def test_defaults(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.home == tmp_path / "home"
    assert list(settings.hosts) == ["local"]
    assert settings.gates.image_bytes == 2_000_000_000


def test_the_example_holds_the_defaults(tmp_path: Path) -> None:
    example = load(tmp_path, (TOP / "imgopt.example.yaml").read_text())
    (tmp_path / "imgopt.yaml").unlink()
    assert example == load_settings()


def test_every_setting_stands_in_the_example() -> None:
    text = (TOP / "imgopt.example.yaml").read_text()
    example = yaml.safe_load(text)
    sections = {name: field for name, field in Settings.model_fields.items() if name not in ("home", "archives")}
    assert set(example) == set(sections)
    commented_out = {"findings": {"rules_folder"}}
    for name in ("schedule", "retention", "gates", "findings", "limits"):
        keys = set(type(getattr(load_settings(), name)).model_fields)
        assert set(example[name]) == keys - commented_out.get(name, set())
    assert all(f"# {key}: " in text for keys in commented_out.values() for key in keys)


def test_sizes_and_relative_folders(tmp_path: Path) -> None:
    settings = load(tmp_path, "archives: images\ngates: {image_bytes: 1.5GiB}\nhosts: {a: {archives: here}}\n")
    assert settings.archives_folder == tmp_path / "images"
    assert settings.gates.image_bytes == 1_610_612_736
    assert settings.hosts["a"].archives == tmp_path / "here"


def test_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGOPT_GATES__IMAGE_BYTES", "5GB")
    assert load(tmp_path, "gates: {image_bytes: 1GB}\n").gates.image_bytes == 5_000_000_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gate: {}", "'gate'; did you mean 'gates'?"),
        ("gates: {image_byte: 1GB}", "'gates.image_byte'; did you mean 'image_bytes'?"),
        ("hosts: {a: {engin: auto}}", "'hosts.a.engin'; did you mean 'engine'?"),
        ("hosts: {a: {}}", "say either `engine` or `archives`"),
        ("hosts: {'a b': {engine: auto}}", "letters, digits"),
        ("hosts: {archives: {engine: auto}}", "is taken"),
        ("gates: {image_bytes: huge}", "'huge' is not a size"),
        ("gates: {image_bytes: -5}", "gates.image_bytes"),
        ("schedule: {timezone: Europe/Berln}", "did you mean 'Europe/Berlin'?"),
        ("- a list", "must be a mapping"),
        ("a: [", "is no YAML"),
        ("\x00", "is no YAML"),
    ],
)
def test_mistakes_are_explained(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, text)
    assert message in str(raised.value)
    assert "imgopt.yaml" in str(raised.value)
    assert raised.value.exit_code == 2


def test_a_named_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGOPT_CONFIG", str(tmp_path / "none.yaml"))
    with pytest.raises(SettingsError, match=r"none\.yaml"):
        load_settings()
