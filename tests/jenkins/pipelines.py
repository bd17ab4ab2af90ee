"""Pipeline jobs on a controller that has the plugins for them: `JENKINS_PLUGINS` names a directory of *.hpi files."""

import os
import shutil
from pathlib import Path

import pytest

from tests.jenkins.controller import Controller

JOB = """import jenkins.model.Jenkins
def loader = Jenkins.get().pluginManager.uberClassLoader
def job = Jenkins.get().createProject(loader.loadClass('org.jenkinsci.plugins.workflow.job.WorkflowJob'), '%s')
job.definition = loader.loadClass('org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition').
    getConstructor(String, boolean).newInstance('''%s''', true)
job.save()
"""


def needs_plugins() -> pytest.MarkDecorator:
    """A mark: these tests want the pipeline plugins too."""
    return pytest.mark.skipif("JENKINS_PLUGINS" not in os.environ, reason="JENKINS_PLUGINS is not set")


def install_plugins(controller: Controller) -> None:
    """Before its first boot."""
    folder = controller.home / "plugins"
    folder.mkdir(exist_ok=True)
    for plugin in Path(os.environ["JENKINS_PLUGINS"]).glob("*.hpi"):
        shutil.copy(plugin, folder / f"{plugin.stem}.jpi")


def create_pipeline(controller: Controller, name: str, script: str) -> None:
    controller.script(JOB % (name, script))


def start_build(controller: Controller, name: str) -> None:
    controller.post(f"job/{name}/build?delay=0sec")


def abort(controller: Controller, name: str, number: int = 1) -> None:
    """As a person does by the red cross."""
    controller.post(f"job/{name}/{number}/stop")
