"""The one call of IAM that asks what a principal may do; it says what the front would."""

from typing import Final

from broker.demo.clouds.model import ApiError, Call, Parameters, Service
from broker.demo.clouds.pages import page_of
from broker.demo.clouds.world import World

_USUAL: Final = 100
"""Results in a page unless another number is asked for."""


class FakeIam(Service):
    """Knows the world's rights alone: what is denied there by action is denied; a denial for some parameters is not."""

    name = "iam"

    def __init__(self, world: World) -> None:
        """Looks at the world's rights at each call."""
        self._world = world

    async def SimulatePrincipalPolicy(self, call: Call) -> Parameters:
        """A decision for each action and resource, in pages. A session has no policies of its own: its role has."""
        said = call.parameters
        if not said["PolicySourceArn"].startswith("arn:aws:iam::"):
            raise ApiError(
                "InvalidInput", f"Invalid Entity Arn: {said['PolicySourceArn']} does not clearly define one."
            )
        results = [
            {
                "EvalActionName": action,
                "EvalResourceName": resource,
                "EvalDecision": "implicitDeny" if self._world.rights.is_denied_altogether(action) else "allowed",
            }
            for action in said["ActionNames"]
            for resource in said.get("ResourceArns") or ["*"]
        ]
        wrong = ApiError("InvalidInput", "Invalid Marker.")
        size, marker = said.get("MaxItems", _USUAL), said.get("Marker")
        page, following = page_of(results, token=marker, size=size, wrong=wrong)
        more = {"IsTruncated": True, "Marker": following} if following else {"IsTruncated": False}
        return {"EvaluationResults": page, **more}
