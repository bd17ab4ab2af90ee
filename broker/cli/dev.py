"""`agentbroker dev`: all in one for a laptop."""

import sys
from pathlib import Path

import click


@click.command("dev")
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
@click.option("--port", type=click.IntRange(1, 65000), help="First of a few ports; default: free ones.")
@click.option("--state-dir", type=click.Path(file_okay=False, path_type=Path), help="Kept; default: a temporary one.")
@click.option("-o", "--output", type=click.Choice(["human", "json"]), default="human", show_default=True)
def dev(  # noqa: PLR0913  # one parameter an option
    *,
    builds: int,
    build_seconds: float,
    warm: int,
    leave: bool,
    controller: str | None,
    jenkins_war: Path | None,
    jenkins_url: str | None,
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
    """
    from broker.demo.dev import Options, default_java, run

    if controller == "jenkins" and not (jenkins_war or jenkins_url):
        raise click.UsageError("--controller jenkins needs --jenkins-war FILE (or JENKINS_WAR) or --jenkins-url URL")
    if warm and leave:
        raise click.UsageError("--warm keeps agents, and --exit is to leave nothing: use one of them")
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
    )
    sys.exit(run(options))
