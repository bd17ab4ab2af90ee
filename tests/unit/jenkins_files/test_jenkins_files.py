"""Where the files for Jenkins are taken from, and what is handed out."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from broker import jenkins_files
from broker.jenkins_files import ARCHIVE, FilesMissing, JenkinsFiles

IN_A_HOME = {
    "init.groovy.d/agentbroker.groovy": b"script",
    "agentbroker/src/Cloud.groovy": b"source",
    "agentbroker/lib/agentbroker-client.jar": b"jar",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with its data; no clone around it."""
    root = tmp_path / "site-packages/broker"
    for name, text in (("init.groovy.d/agentbroker.groovy", "script"), ("src/Cloud.groovy", "source")):
        (root / "jenkins" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "jenkins" / name).write_text(text)
    (root / "jenkins/agentbroker-client.jar").write_bytes(b"jar")
    told = f"{hashlib.sha256(b'jar').hexdigest()}  agentbroker-client.jar\n"
    (root / "jenkins/agentbroker-client.jar.sha256").write_text(told)
    monkeypatch.setattr(jenkins_files, "_PACKAGE", root)
    return root


@pytest.mark.usefixtures("package")
def test_an_installed_package_has_its_own_copies() -> None:
    found = {target.as_posix(): source.read_bytes() for target, source in jenkins_files.jenkins_files().items()}
    assert found == IN_A_HOME


@pytest.mark.parametrize(
    "gone", ["agentbroker-client.jar", "agentbroker-client.jar.sha256", "init.groovy.d/agentbroker.groovy"]
)
def test_a_package_that_was_built_without_them_says_how_to_build_it(package: Path, gone: str) -> None:
    (package / "jenkins" / gone).unlink()
    with pytest.raises(FilesMissing, match="make wheel"):
        jenkins_files.jenkins_files()


def test_a_jar_that_is_not_the_one_that_was_built_is_refused(package: Path) -> None:
    (package / "jenkins/agentbroker-client.jar").write_bytes(b"another")
    with pytest.raises(FilesMissing, match="install it again"):
        jenkins_files.jenkins_files()


@pytest.mark.usefixtures("package")
def test_all_is_handed_out_under_short_names_with_its_sha256() -> None:
    files = JenkinsFiles().read()
    assert list(files) == [ARCHIVE, "agentbroker.groovy", "agentbroker-client.jar", "src/Cloud.groovy"]
    assert files["agentbroker-client.jar"].body == b"jar"
    assert all(one.sha256 == hashlib.sha256(one.body).hexdigest() for one in files.values())


@pytest.mark.usefixtures("package")
def test_the_archive_unpacks_to_what_belongs_into_a_home_and_holds_no_owner_and_no_time() -> None:
    with tarfile.open(fileobj=io.BytesIO(JenkinsFiles().read()[ARCHIVE].body)) as archive:
        members = archive.getmembers()
        unpacked = {m.name: file.read() for m in members if (file := archive.extractfile(m))}
    lines = unpacked.pop("agentbroker/files.sha256").decode().splitlines()
    assert lines == [f"{hashlib.sha256(IN_A_HOME[name]).hexdigest()}  {name}" for name in sorted(IN_A_HOME)]
    assert unpacked == IN_A_HOME
    assert {(m.mode, m.uid, m.uname, m.mtime) for m in members} == {(0o644, 0, "", 0)}


@pytest.mark.usefixtures("package")
def test_the_same_files_make_the_same_archive() -> None:
    assert JenkinsFiles().read()[ARCHIVE] == JenkinsFiles().read()[ARCHIVE]


def test_a_changed_file_is_handed_out_as_it_is_now(package: Path) -> None:
    files = JenkinsFiles()
    before = files.read()
    assert files.read() is before
    (package / "jenkins/src/Cloud.groovy").write_bytes(b"another source")
    after = files.read()
    assert after["src/Cloud.groovy"].body == b"another source"
    assert after[ARCHIVE] != before[ARCHIVE]
