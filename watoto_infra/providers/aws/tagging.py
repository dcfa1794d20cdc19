"""Tags as services write them, and as Pulumi's ``tags`` and ``tagsAll``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from watoto_infra.providers.aws.compare import Difference, join
from watoto_infra.providers.aws.operation import Operation
from watoto_infra.providers.aws.shape import put, search
from watoto_infra.providers.aws.table import OP_TAG, Item, Tags
from watoto_infra.providers.values import UNKNOWN


def written(style: Tags, tags: Mapping[str, str]) -> Any:
    """Give tags as the service wants them in a request."""
    if style.style == "map":
        return dict(tags)
    key, value = style.names
    return [{key: name, value: text} for name, text in sorted(tags.items())]


def add_to_create(style: Tags, operation: Operation, request: dict[str, Any]) -> None:
    """Put the wanted tags and the operation's own into a create request."""
    tags = written(style, operation.created_tags)
    if not tags or not style.create:
        return
    if style.spec:
        request["TagSpecifications"] = [{"ResourceType": style.spec, "Tags": tags}]
    else:
        put(request, style.create, tags)


def raw(style: Tags, item: Item) -> dict[str, str]:
    """Give all tags that were read, the operation's own included."""
    found = search(style.read, item) or {}
    if isinstance(found, Mapping):
        return {str(key): str(value) for key, value in found.items()}
    key, value = style.names
    return {str(tag[key]): str(tag.get(value, "")) for tag in found}


def shown(style: Tags, operation: Operation, item: Item) -> dict[str, dict[str, str]]:
    """Give ``tags`` and ``tagsAll`` as outputs; AWS's own tags and ours are not shown."""
    tags = {key: value for key, value in raw(style, item).items() if key != OP_TAG and not key.startswith("aws:")}
    own = operation.desired("tags") or {}
    mine = {key: value for key, value in tags.items() if key in own or operation.default_tags.get(key) != value}
    return {"tags": mine, "tagsAll": tags}


def differences(state: Mapping[str, Any], wanted: Any) -> list[Difference]:
    """Compare the present tags with the desired tags."""
    old = state.get("tagsAll") or state.get("tags") or {}
    if wanted is UNKNOWN:
        return [Difference("tags", "update", False, "tags")]
    found = []
    for key in sorted({*old, *wanted}):
        kind = "delete" if key not in wanted else "add" if key not in old else "update"
        if kind != "update" or old[key] != wanted[key]:
            found.append(Difference(join("tags", key), kind, False, "tags"))
    return found


def change(style: Tags, operation: Operation, wanted: Mapping[str, str]) -> None:
    """Give an existing resource the desired tags."""
    old = operation.state.get("tagsAll") or {}
    gone = sorted(key for key in old if key not in wanted)
    news = {key: value for key, value in wanted.items() if style.whole or old.get(key) != value}
    operation.tag_values = {
        "tags": written(style, news),
        "tag_keys": gone,
        "tag_key_items": [{"Key": key} for key in gone],
    }
    if news:
        operation.run(style.put)
    if gone and not (style.whole and news):
        operation.run(style.remove)
    operation.tag_values = {}
