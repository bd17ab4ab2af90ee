"""The one call of IAM that asks what a principal may do; it says what the front would."""

from broker.demo.clouds.model import Call, Parameters, Service
from broker.demo.clouds.world import World


class FakeIam(Service):
    """Knows the world's rights alone: what is denied there by action is denied; a denial for some parameters is not."""

    name = "iam"

    def __init__(self, world: World) -> None:
        """Looks at the world's rights at each call."""
        self._world = world

    async def SimulatePrincipalPolicy(self, call: Call) -> Parameters:
        """A decision for each action and resource."""
        said = call.parameters
        results = [
            {
                "EvalActionName": action,
                "EvalResourceName": resource,
                "EvalDecision": "implicitDeny" if self._world.rights.is_denied_altogether(action) else "allowed",
            }
            for action in said["ActionNames"]
            for resource in said.get("ResourceArns") or ["*"]
        ]
        return {"EvaluationResults": results, "IsTruncated": False}
