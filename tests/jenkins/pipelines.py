"""Pipeline jobs on a controller that has the plugins for them: `JENKINS_PLUGINS` names a directory of *.hpi files."""

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.jenkins.controller import Controller, wait_for
from tests.jenkins.rig import Rig, wait_until_connected

JOB = """import jenkins.model.Jenkins
def loader = Jenkins.get().pluginManager.uberClassLoader
def job = Jenkins.get().createProject(loader.loadClass('org.jenkinsci.plugins.workflow.job.WorkflowJob'), '%s')
job.definition = loader.loadClass('org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition').
    getConstructor(String, boolean).newInstance('''%s''', true)
job.save()
"""


MOST_BOOTS = 3


def needs_plugins() -> pytest.MarkDecorator:
    """A mark: these tests want the pipeline plugins too."""
    return pytest.mark.skipif(
        "JENKINS_PLUGINS" not in os.environ,
        reason="JENKINS_PLUGINS, a directory of the pipeline plugins' *.hpi files, is not set",
    )


def install_plugins(controller: Controller) -> None:
    """Before its first boot."""
    folder = controller.home / "plugins"
    folder.mkdir(exist_ok=True)
    for plugin in Path(os.environ["JENKINS_PLUGINS"]).glob("*.hpi"):
        shutil.copy(plugin, folder / f"{plugin.stem}.jpi")


def start_with_plugins(rig: Rig) -> None:
    """Starts all of it; returns when the controller runs pipelines."""
    install_plugins(rig.controller)
    rig.start()
    create_pipeline(rig.controller, "probe", 'echo "pipelines run"')
    while not runs_pipelines(rig.controller):
        assert rig.controller.boots < MOST_BOOTS, rig.controller.log()[-3000:]
        rig.controller.stop()
        rig.controller.start()
        wait_until_connected(rig.controller)


def runs_pipelines(controller: Controller) -> bool:
    """Whether this boot does, tried with the job `probe`.

    About one boot in twenty does not: its JVM then refuses a class of workflow-cps ("CpsScript is not assignable to
    groovy/lang/Script"), and each pipeline fails at its start. The same files work at the next boot; no node is asked
    for, so nothing of ours is in it, and the cause is not known.
    """
    before = len(controller.builds("probe"))
    start_build(controller, "probe")
    if controller.finished("probe", before + 1)[before]["result"] == "SUCCESS":
        return True
    assert "VerifyError" in ended_console(controller, "probe", before + 1) + controller.log()
    return False


def create_pipeline(controller: Controller, name: str, script: str) -> None:
    """`script` has no single quotes and no backslashes."""
    failure = controller.script(JOB % (name, script))
    assert not failure, failure


def start_build(controller: Controller, name: str) -> None:
    controller.post(f"job/{name}/build?delay=0sec")


def abort(controller: Controller, name: str, number: int = 1) -> None:
    """As a person does by the red cross."""
    controller.post(f"job/{name}/{number}/stop")


def console_of(controller: Controller, name: str, number: int = 1) -> str:
    """What a build has said; empty before there is one."""
    try:
        return controller.console(name, number)
    except OSError:
        return ""


def ended_console(controller: Controller, name: str, number: int = 1) -> str:
    """The whole log of a build that has its result: its last lines are written after that."""
    wait_for("its log has ended", lambda: "\nFinished: " in console_of(controller, name, number), seconds=10)
    return console_of(controller, name, number)


def nodes_in(console: str) -> list[str]:
    """The nodes that a pipeline has had, by its log."""
    return re.findall(r"^Running on (\S+) in ", console, re.MULTILINE)


MATRIX = """import jenkins.model.Jenkins
def loader = Jenkins.get().pluginManager.uberClassLoader
def job = Jenkins.get().createProject(loader.loadClass('hudson.matrix.MatrixProject'), '%s')
def texts = loader.loadClass('hudson.matrix.TextAxis')
job.axes.add(texts.getConstructor(String, List).newInstance('part', ['a', 'b', 'c']))
job.axes.add(loader.loadClass('hudson.matrix.LabelAxis').getConstructor(String, List).newInstance('label', ['%s']))
job.buildersList.add(new hudson.tasks.Shell('echo part $part'))
job.save()
"""
"""A multi-configuration job with three configurations that are tied to a label."""


def needs_matrix() -> pytest.MarkDecorator:
    """A mark: this test wants the plugin of multi-configuration jobs too."""
    there = Path(os.environ.get("JENKINS_PLUGINS", "/nowhere"), "matrix-project.hpi").exists()
    return pytest.mark.skipif(not there, reason="JENKINS_PLUGINS names no directory with a matrix-project.hpi")


def create_matrix(controller: Controller, name: str, label: str) -> None:
    failure = controller.script(MATRIX % (name, label))
    assert not failure, failure
