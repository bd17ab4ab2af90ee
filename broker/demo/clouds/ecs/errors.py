"""The refusals of Amazon ECS, with the vendor's codes and words.

Codes: the API's model. Words: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/troubleshooting.html and the
answers that users quote; where none is known the sentence is plain, so no client may depend on it.
"""

from broker.demo.clouds.model import ApiError


def invalid(message: str) -> ApiError:
    """A parameter that is wrong."""
    return ApiError("InvalidParameterException", message)


def refused(message: str) -> ApiError:
    """What the vendor calls the client's own doing: a definition that is not there, a full queue."""
    return ApiError("ClientException", message)


def no_cluster() -> ApiError:
    """A cluster that is not there."""
    return ApiError("ClusterNotFoundException", "Cluster not found.")


def over_limit(message: str) -> ApiError:
    """A quota of the account."""
    return ApiError("LimitExceededException", message)


def not_found(message: str) -> ApiError:
    """A resource that is to be tagged."""
    return ApiError("ResourceNotFoundException", message)


def unknown_platform() -> ApiError:
    """A platform version that Fargate never had."""
    return ApiError("PlatformUnknownException", "The specified platform version does not exist.")


def unfit_platform(message: str) -> ApiError:
    """A platform version that lacks what the definition needs."""
    return ApiError("PlatformTaskDefinitionIncompatibilityException", message)


def unsupported(message: str) -> ApiError:
    """What the region does not have."""
    return ApiError("UnsupportedFeatureException", message)


def conflict(message: str, resources: list[str]) -> ApiError:
    """One client token, two requests; `resources` are what the first one made."""
    return ApiError("ConflictException", message, resourceIds=resources)
