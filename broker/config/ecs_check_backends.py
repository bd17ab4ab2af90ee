"""What a backend on Amazon ECS says of its credentials."""

from broker.config.ecs_uses import ECS, Ecs
from broker.config.model_pools import BackendModel


def check(ecs: Ecs) -> None:
    """Reports ways to credentials of which two are said, or half of one."""
    for name, backend in ecs.file.backends.items():
        if backend.type == ECS:
            _key(ecs, name, backend)
            _roles(ecs, name, backend)


def _key(ecs: Ecs, name: str, backend: BackendModel) -> None:
    ids = [key for key in ("access_key_id", "access_key_id_file") if getattr(backend, key)]
    secrets = [key for key in ("secret_access_key", "secret_access_key_file") if getattr(backend, key)]
    for two in (ids, secrets):
        if len(two) > 1:
            message = f"backend '{name}' has '{two[0]}' and '{two[1]}'"
            ecs.error("credentials-conflict", ecs.key("backends", name, two[0]), message, "remove one of them")
    if bool(ids) != bool(secrets):
        has, lacks = (ids[0], "secret_access_key_file") if ids else (secrets[0], "access_key_id_file")
        message = f"backend '{name}' has '{has}' and no '{lacks}'"
        help_ = "a key is its id and its secret; without both the SDK's default chain is used"
        ecs.error("credentials-conflict", ecs.key("backends", name, has), message, help_)
    if backend.session_token_file and not ids:
        message = f"backend '{name}' has a session token and no key that it belongs to"
        help_ = "add 'access_key_id_file' and 'secret_access_key_file'"
        ecs.error("credentials-conflict", ecs.key("backends", name, "session_token_file"), message, help_)
    if backend.profile and (ids or secrets):
        message = f"backend '{name}' has a key and a profile, which has keys of its own"
        ecs.error("credentials-conflict", ecs.key("backends", name, "profile"), message, "remove one of them")


def _roles(ecs: Ecs, name: str, backend: BackendModel) -> None:
    if backend.external_id and len(backend.assume_role_arn or ()) != 1:
        few = not backend.assume_role_arn
        message = f"'external_id' of backend '{name}' goes with one 'assume_role_arn'"
        help_ = "add 'assume_role_arn', or remove it" if few else "give each role of the list its own 'external_id'"
        ecs.error("credentials-conflict", ecs.key("backends", name, "external_id"), message, help_)
