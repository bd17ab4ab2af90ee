"""`agentbroker dev`: all in one for a laptop."""

import importlib.util
import sys
from pathlib import Path
from typing import Final

import click

_DEEDS: Final = {
    "aws": {
        "clear": "no call goes wrong any more",
        "interrupt": "a task loses its spot capacity",
        "no-capacity": "Fargate has no capacity",
    },
    "alibaba": {
        "clear": "no call goes wrong any more, all is in stock, machines are reached",
        "interrupt": "an instance loses its spot capacity",
        "no-stock": "no zone has anything in stock",
        "ssh-closed": "for a minute nobody listens on port 22",
        "ssh-host-key": "machines show other host keys",
    },
}
_DIRECTORY = click.Path(file_okay=False, path_type=Path)


@click.group("dev", invoke_without_command=True)
@click.option("--builds", type=click.IntRange(min=0), default=1, show_default=True, help="Builds to queue.")
@click.option("--build-seconds", type=float, default=1.0, show_default=True, help="How long each of them runs.")
@click.option("--warm", type=click.IntRange(min=0), default=0, show_default=True, help="Idle agents to keep.")
@click.option("--exit", "leave", is_flag=True, help="End when the builds have ended, with a summary.")
@click.option("--controller", type=click.Choice(["jenkins", "simulated"]), help="Default: jenkins if one is named.")
@click.option(
    "--jenkins-war",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="JENKINS_WAR",
    help="The jenkins.war to run; also JENKINS_WAR. AGENT_JAVA names its java.",
)
@click.option("--jenkins-url", help="A Jenkins that runs already and has our files.")
@click.option("--clouds", type=click.Choice(["fake"]), help="Agents as tasks of a cloud that is played here.")
@click.option("--port", type=click.IntRange(1, 65000), help="First of a few ports; default: free ones.")
@click.option("--state-dir", type=_DIRECTORY, help="Kept; default: a temporary one.")
@click.option("-o", "--output", type=click.Choice(["human", "json"]), default="human", show_default=True)
@click.pass_context
def dev(  # noqa: PLR0913  # one parameter an option
    ctx: click.Context,
    *,
    builds: int,
    build_seconds: float,
    warm: int,
    leave: bool,
    controller: str | None,
    jenkins_war: Path | None,
    jenkins_url: str | None,
    clouds: str | None,
    port: int | None,
    state_dir: Path | None,
    output: str,
) -> None:
    """Runs broker, gateway, a pool on this machine and a controller, and queues builds.

    \b
    agentbroker dev                                     stays up and prints its URLs
    agentbroker dev --builds 0 --warm 2                 two idle agents wait for builds
    agentbroker dev --builds 12 --exit                  twelve builds, a summary, nothing left
    agentbroker dev --jenkins-war jenkins.war --exit    the same with a real Jenkins
    agentbroker dev --clouds fake --builds 12 --exit    the same on Amazon ECS, which is played here
    """
    if ctx.invoked_subcommand:
        return
    from broker.demo.dev import Options, default_java, run

    if controller == "jenkins" and not (jenkins_war or jenkins_url):
        raise click.UsageError("--controller jenkins needs --jenkins-war FILE (or JENKINS_WAR) or --jenkins-url URL")
    if warm and leave:
        raise click.UsageError("--warm keeps agents, and --exit is to leave nothing: use one of them")
    if clouds and importlib.util.find_spec("aiobotocore") is None:
        raise click.UsageError("--clouds fake needs the AWS client: pip install 'jenkins-agentbroker[aws]'")
    options = Options(
        builds=builds,
        build_seconds=build_seconds,
        warm=warm,
        stay=not leave,
        controller=controller,
        jenkins_war=jenkins_war,
        jenkins_url=jenkins_url,
        java=default_java(),
        port=port,
        state_dir=state_dir,
        output=output,
        clouds=clouds,
    )
    sys.exit(run(options))


@dev.command("fault")
@click.argument("cloud", type=click.Choice(["aws", "alibaba"]))
@click.argument("action")
@click.argument("code", default="")
@click.option("--times", type=click.IntRange(min=1), default=1, show_default=True, help="How often at most.")
@click.option("--probability", type=click.FloatRange(0, 1), default=1.0, show_default=True, help="Of each call.")
@click.option("--message", default="", help="The error's words.")
@click.option("--status", type=click.IntRange(400, 599), help="HTTP status; default: what fits the code.")
@click.option("--after-effect", is_flag=True, help="Let the call take effect, and lose its answer.")
@click.option("--drop", is_flag=True, help="Cut the line instead of an error.")
@click.option("--html", is_flag=True, help="Answer a balancer's page.")
@click.option("--delay", "delay_s", type=click.FloatRange(min=0), default=0.0, help="Seconds before the answer.")
@click.option("--state-dir", type=_DIRECTORY, help="Of the demo; default: the one that was started last.")
def fault(cloud: str, *, action: str, state_dir: Path | None, status: int | None, **rule: object) -> None:
    """Makes calls of a demo's clouds go wrong, and what is in them.

    \b
    agentbroker dev fault aws RunTask ThrottlingException --times 5
    agentbroker dev fault aws RunTask --drop --after-effect     the task is made, the answer lost
    agentbroker dev fault aws DescribeTasks ServerException --probability 0.3 --times 100
    agentbroker dev fault aws interrupt                         takes a task's spot capacity back
    agentbroker dev fault aws no-capacity                       agents go to the next cloud in line
    agentbroker dev fault aws clear                             ends all faults
    agentbroker dev fault alibaba RunInstances OperationDenied.NoStock --times 3
    agentbroker dev fault alibaba no-stock                      also: interrupt, ssh-closed, ssh-host-key, clear
    """
    from urllib.error import HTTPError

    from broker.demo.clouds.remote import ALIBABA_FILE, FILE, Control, youngest

    deeds, file = _DEEDS[cloud], {"aws": FILE, "alibaba": ALIBABA_FILE}[cloud]

    directory = state_dir or youngest()
    try:
        control = Control.of(directory, file) if directory else None
        if control and action in deeds:
            control.ask(action)
        elif control:
            control.ask("faults", action=action, status=status or 0, **rule)
    except HTTPError as error:
        raise click.ClickException(error.read().decode(errors="replace")) from None
    except OSError as error:
        raise click.ClickException(f"the demo in {directory} does not answer: {error}") from None
    if control is None:
        message = "no demo with a cloud is found: start one by agentbroker dev --clouds fake, or name its --state-dir"
        raise click.ClickException(message)
    click.echo(f"{cloud}: {deeds.get(action, f'{action} will go wrong')}")
