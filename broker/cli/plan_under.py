"""A plan under a file that is not loaded: decided here, with what the broker says of limits, offers and those that
wait. The file does not leave this machine, and the broker reads none of it."""

from datetime import datetime
from typing import Any

import click
from pydantic import ValidationError

from broker.cli.exits import FAILED, NO_SUCH_THING, WRONG_USAGE, CliError
from broker.cli.options import Session
from broker.config.load import load
from broker.domain.definitions import Definitions
from broker.views.ask import BadQuestion, NoSuchThing, NothingServes
from broker.views.plan import PlanAsk, moment_of, plan, policy_for
from broker.views.words import Words
from broker.web.api.models_plan import Standing, offers_of, to_plan, usage_of, waiting_of


def plan_under(session: Session, file: str, asked: dict[str, Any], at: datetime | None) -> dict[str, Any]:
    """The plan as the API would tell it. Raises `ConfigError` for a file with errors, and `CliError`."""
    definitions = load(file).definitions
    standing = _standing(session)
    usage = usage_of(standing)
    (policy, controller, overrides), moment = _read(definitions, asked, at, usage.now)
    ask = PlanAsk(policy=policy, controller=controller, count=asked["n"], job=asked["job"] or "", overrides=overrides)
    offers = offers_of(standing, definitions.pools)
    planned = plan(ask, waiting_of(standing), offers, usage, definitions, moment)
    if standing.left_out:
        message = (
            f"agentbroker: {standing.left_out} more agents wait than the broker tells of; the plan is without them"
        )
        click.echo(message, err=True)
    found: dict[str, Any] = to_plan(planned, moment, Words(raw=True)).model_dump(mode="json")
    return found


def _read(definitions: Definitions, asked: dict[str, Any], at: datetime | None, now: datetime) -> Any:
    try:
        return policy_for(definitions, asked["label"], asked["policy"], asked["controller"]), moment_of(at, now)
    except NothingServes as error:
        raise CliError(NO_SUCH_THING, str(error), error.hint, "no_matching_policy") from error
    except NoSuchThing as error:
        raise CliError(NO_SUCH_THING, str(error), error.hint) from error
    except BadQuestion as error:
        raise CliError(WRONG_USAGE, str(error), error.hint) from error


def _standing(session: Session) -> Standing:
    answer = session.client.get("placement")
    known = {key: value for key, value in answer.items() if key in Standing.model_fields}
    try:
        return Standing.model_validate(known)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        message = f"the broker's answer cannot be read: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise CliError(FAILED, message, "use the agentbroker command of the broker's version") from error
