"""`agentbroker iam`: the rights that the broker needs in a cloud account, worked out from the config."""

from typing import TYPE_CHECKING

import click

from broker.cli.aws import chosen_backend
from broker.cli.exits import CONFIG_INVALID, NO_SUCH_THING, CliError
from broker.cli.output import emit_json

if TYPE_CHECKING:
    from broker.backends.aws_ecs.iam import Statement
    from broker.backends.aws_ecs.used import Used


@click.group("iam")
def iam() -> None:
    """Print the least rights that the config needs. No cloud is asked."""


@iam.command("aws")
@click.option("--backend", metavar="NAME", help="Default: the config's only backend on AWS.")
@click.option("--config", "file", metavar="FILE", help="Default: as with 'config check'.")
@click.option("--account", metavar="ID", help="The account; default: that of the roles in the config, else any.")
@click.option("--for", "whose", metavar="ROLE", help="A role of assume_role_arn, or 'base': who takes the first one.")
@click.option("--no-doctor", is_flag=True, help="Without what only 'agentbroker doctor' asks.")
@click.option("--pass-role", "roles", multiple=True, metavar="ARN", help="A role of a task definition that is named.")
@click.option("--log-group", "groups", multiple=True, metavar="NAME", help="A log group of such a definition.")
def aws(
    backend: str | None,
    file: str | None,
    account: str | None,
    whose: str | None,
    no_doctor: bool,
    roles: tuple[str, ...],
    groups: tuple[str, ...],
) -> None:
    """The IAM policy of a backend of type aws-ecs, as JSON.

    \b
    agentbroker iam aws > policy.json            of whoever calls ECS: the last role of assume_role_arn, if any
    agentbroker iam aws --for base               of whoever takes that role

    Exit codes: 0 done, 2 wrong usage, 3 config invalid, 5 no such backend or role.
    """
    from broker.backends.aws_ecs.iam import Besides, Place, document, needed

    used = chosen_backend(file, backend)
    statements = _taking(used, whose)
    if statements is None:
        if not used.options.region:
            raise CliError(CONFIG_INVALID, f"backends.{used.name} has no region", f"set backends.{used.name}.region")
        place = Place(region=used.options.region, account=account or _account(used) or "*")
        statements = needed(used, place, doctor=not no_doctor, besides=Besides(roles=roles, log_groups=groups))
        _notes(used, place.account, roles, groups)
    emit_json(document(statements))


def _taking(used: "Used", whose: str | None) -> "list[Statement] | None":
    """What someone on the way needs; None for whoever calls ECS."""
    from broker.backends.aws_ecs.iam import taking

    after = _next_role(used.name, tuple(role.role_arn for role in used.options.assume_role_arn), whose)
    return taking(after) if after else None


def _account(used: "Used") -> str:
    """Where the tasks run: the account of the last role that is taken, else of the roles that tasks are given."""
    from broker.backends.aws_ecs.iam import roles

    chain = [role.role_arn for role in used.options.assume_role_arn[-1:]]
    found = {arn.split(":")[4] for arn in chain or roles(used) if arn.count(":") >= 5}
    return found.pop() if len(found) == 1 else ""


def _notes(used: "Used", account: str, roles: tuple[str, ...], groups: tuple[str, ...]) -> None:
    chain = used.options.assume_role_arn
    if chain:
        click.echo(f"# of {chain[-1].role_arn}; who takes it needs: agentbroker iam aws --for base", err=True)
    if account == "*":
        click.echo("# the config does not tell the account: any is allowed; say which with --account", err=True)
    named = [str(name) for name, task in used.tasks.items() if task.task_definition]
    if named and not (roles or groups):
        words = (
            f"# {', '.join(named)}: name the roles of its task definition with --pass-role, its logs with --log-group"
        )
        click.echo(words, err=True)


@iam.command("alibaba")
@click.option("--backend", metavar="NAME", help="Default: the config's only backend of type alibaba-ecs.")
@click.option("--config", "file", metavar="FILE", help="Default: as with 'config check'.")
@click.option("--account", metavar="ID", help="The account; default: that of the roles in the config, else any.")
@click.option("--for", "whose", metavar="ROLE", help="A role of role_arn, or 'base': who takes the first one.")
@click.option("--no-doctor", is_flag=True, help="Without what only 'agentbroker doctor' asks.")
@click.option("--cleanup", is_flag=True, help="With what 'agentbroker cleanup alibaba' does.")
def alibaba(
    *, backend: str | None, file: str | None, account: str | None, whose: str | None, no_doctor: bool, cleanup: bool
) -> None:
    """The RAM policy of a backend of type alibaba-ecs, as JSON.

    \b
    agentbroker iam alibaba > policy.json        of whoever calls ECS: the last role of role_arn, if any
    agentbroker iam alibaba --for base           of whoever takes that role

    Exit codes: 0 done, 2 wrong usage, 3 config invalid, 5 no such backend or role.
    """
    from broker.backends.alibaba_ecs.iam import Place, document, needed, taking
    from broker.backends.alibaba_ecs.used import Used as AlibabaUsed
    from broker.cli.alibaba import chosen_backend as chosen

    config, name = chosen(file, backend)
    used = AlibabaUsed.of(config.definitions, name)
    after = _next_role(name, used.roles, whose)
    if after:
        emit_json(document(taking(after)))
        return
    found = {arn.split(":")[3] for arn in used.roles[-1:]}
    account = account or (found.pop() if found else "*")
    emit_json(document(needed(used, Place(region=used.region, account=account), doctor=not no_doctor, cleanup=cleanup)))
    if used.roles:
        click.echo(f"# of {used.roles[-1]}; who takes it needs: agentbroker iam alibaba --for base", err=True)
    if account == "*":
        click.echo("# the config does not tell the account: any is allowed; say which with --account", err=True)


def _next_role(backend: str, chain: tuple[str, ...], whose: str | None) -> str:
    """The role that someone on the way takes; empty for whoever calls the cloud."""
    if whose is None or (chain and whose == chain[-1]):
        return ""
    way = ["base", *chain]
    if whose not in way or not chain:
        known = ", ".join(way) if chain else f"none: backends.{backend} takes no role"
        raise CliError(NO_SUCH_THING, f"'{whose}' is not on the way to backend '{backend}'", f"known: {known}")
    return way[way.index(whose) + 1]
