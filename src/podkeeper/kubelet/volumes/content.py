"""What files a ConfigMap, a Secret, the downward API or a token becomes: payloads for the atomic writer.

Shared by the single-source volumes and the projected one. https://kubernetes.io/docs/concepts/storage/projected-volumes/
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from podkeeper.api.core import v1
from podkeeper.api.errors import ApiError
from podkeeper.client.api import ConnectionFailed
from podkeeper.kubelet.downward import UnsupportedField, field_value, resource_value
from podkeeper.kubelet.environment import ConfigError, config_map_data, secret_data
from podkeeper.kubelet.volumes.atomic_writer import FileContent
from podkeeper.kubelet.volumes.plugin import VolumeContext, VolumeFailure

Files = dict[str, FileContent]
DEFAULT_MODE = 0o644


def mode_of(mode: int | None, default: int | None) -> int:
    """A file's own mode, else the volume's, else 0644."""
    if mode is not None:
        return mode
    return DEFAULT_MODE if default is None else default


async def config_map_files(
    context: VolumeContext, name: str, items: Sequence[v1.KeyToPath], *, optional: bool, mode: int | None
) -> Files:
    """All keys of a ConfigMap, or the chosen ``items``."""
    data = await _load(config_map_data(context.objects, context.pod.metadata.namespace, name, optional))
    return _select(data, items, optional, mode)


async def secret_files(
    context: VolumeContext, name: str, items: Sequence[v1.KeyToPath], *, optional: bool, mode: int | None
) -> Files:
    """All keys of a Secret, or the chosen ``items``."""
    data = await _load(secret_data(context.objects, context.pod.metadata.namespace, name, optional))
    return _select(data, items, optional, mode)


async def _load(reading: Awaitable[dict[str, bytes] | None]) -> dict[str, bytes]:
    try:
        return await reading or {}
    except (ConfigError, ConnectionFailed) as error:
        raise VolumeFailure(str(error)) from error


def _select(data: dict[str, bytes], items: Sequence[v1.KeyToPath], optional: bool, mode: int | None) -> Files:
    if not items:
        return {key: FileContent(value, mode_of(None, mode)) for key, value in data.items()}
    files: Files = {}
    for item in items:
        if item.key in data:
            files[item.path] = FileContent(data[item.key], mode_of(item.mode, mode))
        elif not optional:
            raise VolumeFailure(f"references non-existent config key: {item.key}")
    return files


def downward_files(context: VolumeContext, items: Sequence[v1.DownwardAPIVolumeFile], mode: int | None) -> Files:
    """The values of the downward API as they are now."""
    files: Files = {}
    try:
        for item in items:
            text = ""
            if item.field_ref is not None:
                text = field_value(context.pod, item.field_ref.field_path, context.node, context.pod_ips)
            elif item.resource_field_ref is not None:
                text = resource_value(context.pod, item.resource_field_ref, "", context.node)
            files[item.path] = FileContent(text.encode(), mode_of(item.mode, mode))
    except UnsupportedField as error:
        raise VolumeFailure(str(error)) from error
    return files


async def token_file(context: VolumeContext, source: v1.ServiceAccountTokenProjection, mode: int | None) -> Files:
    """A bound token; readable by its user alone when the pod says who that is."""
    try:
        token = await context.tokens.token(context.pod, source.audience, source.expiration_seconds)
    except (ApiError, ConnectionFailed) as error:
        raise VolumeFailure(f"failed to fetch token: {error}") from error
    owner = common_user(context.pod)
    private = owner is not None or context.fs_group is not None
    return {source.path: FileContent(token.text.encode(), 0o600 if private else mode_of(None, mode), owner)}


def common_user(pod: v1.Pod) -> int | None:
    """The user that every container of the pod runs as, when the spec says one and the same for all."""
    default = pod.spec.security_context.run_as_user if pod.spec.security_context else None
    users = set()
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        own = container.security_context
        users.add(own.run_as_user if own and own.run_as_user is not None else default)
    return users.pop() if len(users) == 1 else None
