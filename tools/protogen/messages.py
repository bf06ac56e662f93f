"""The table of protobuf messages, made of Go's struct types and the tags of their fields.

The form of the table is described where it is read, in ``podkeeper.api.protobuf.table``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from protogen.gobinary import GoField, GoType

#: API groups by the name of their Go package, which is the group's first label except where it is not.
GROUPS = {
    **{name: name for name in ("apps", "autoscaling", "batch", "extensions", "policy")},
    **{
        name: f"{name}.k8s.io"
        for name in (
            "admission", "admissionregistration", "apidiscovery", "apiextensions", "apiregistration", "authentication",
            "authorization", "certificates", "coordination", "discovery", "events", "imagepolicy", "meta", "metrics",
            "networking", "node", "resource", "scheduling", "storage", "storagemigration",
        )
    },
    "apiserverinternal": "internal.apiserver.k8s.io",
    "core": "",
    "flowcontrol": "flowcontrol.apiserver.k8s.io",
    "rbac": "rbac.authorization.k8s.io",
}  # fmt: skip

#: Types that the codec knows by name: their JSON is no object of their fields.
VALUES = {
    "k8s.io/apimachinery/pkg/api/resource.Quantity": "Quantity",
    "k8s.io/apimachinery/pkg/apis/meta/v1.Duration": "Duration",
    "k8s.io/apimachinery/pkg/apis/meta/v1.FieldsV1": "RawJSON",
    "k8s.io/apimachinery/pkg/apis/meta/v1.MicroTime": "MicroTime",
    "k8s.io/apimachinery/pkg/apis/meta/v1.Time": "Time",
    "k8s.io/apimachinery/pkg/runtime.RawExtension": "RawJSON",
    "k8s.io/apimachinery/pkg/util/intstr.IntOrString": "IntOrString",
    "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSON": "RawJSON",
    "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1.JSON": "RawJSON",
}
#: Slices with a name that are messages of their own, with the strings as their one field.
_STRING_LISTS = (".ExtraValue", ".Verbs")
_SCALARS = {"bool": "bool", "int32": "int32", "int64": "int64", "int": "int64", "float64": "double", "string": "string"}
_ROOTS = (
    "k8s.io/api/",
    "k8s.io/apiextensions-apiserver/pkg/apis/",
    "k8s.io/apimachinery/pkg/apis/",
    "k8s.io/metrics/pkg/apis/",
)

_API_SERVICES = {
    "APIService": {
        "metadata": "1?meta/v1.ObjectMeta",
        "spec": "2?apiregistration/{version}.APIServiceSpec",
        "status": "3?apiregistration/{version}.APIServiceStatus",
    },
    "APIServiceCondition": {
        "type": "1string",
        "status": "2string",
        "lastTransitionTime": "3?Time",
        "reason": "4?string",
        "message": "5?string",
    },
    "APIServiceList": {"metadata": "1?meta/v1.ListMeta", "items": "2[apiregistration/{version}.APIService"},
    "APIServiceSpec": {
        "service": "1*apiregistration/{version}.ServiceReference",
        "group": "2?string",
        "version": "3?string",
        "insecureSkipTLSVerify": "4?bool",
        "caBundle": "5?bytes",
        "groupPriorityMinimum": "7int32",
        "versionPriority": "8int32",
    },
    "APIServiceStatus": {"conditions": "1?[apiregistration/{version}.APIServiceCondition"},
    "ServiceReference": {"namespace": "1?string", "name": "2?string", "port": "3*?int32"},
}
#: Read from k8s.io/kube-aggregator's types.go, which neither program contains.
UNLINKED = {
    f"apiregistration/{version}.{name}": {field: text.format(version=version) for field, text in fields.items()}
    for version in ("v1", "v1beta1")
    for name, fields in _API_SERVICES.items()
}
_UNLINKED_KINDS = [
    f"apiregistration/{v}.{kind}" for v in ("v1", "v1beta1") for kind in ("APIService", "APIServiceList")
]


def message_name(go_name: str) -> str:
    """``core/v1.Pod`` of ``k8s.io/api/core/v1.Pod``; empty for what is no type of the API."""
    root = next((root for root in _ROOTS if go_name.startswith(root)), "")
    name = go_name.removeprefix(root)
    return name if root and name.partition("/")[0] in GROUPS and name.count("/") == 1 else ""


def table_text(structs: Mapping[str, GoType]) -> str:
    """The whole table as it is written, one message per line."""
    messages, kinds = dict(UNLINKED), list(_UNLINKED_KINDS)
    empty = set()
    for go_name, struct in structs.items():
        name = message_name(go_name)
        if not name or go_name in VALUES:
            continue
        fields = _fields(struct)
        if not fields:
            empty.add(name)
            continue
        messages[name] = fields
        if any(field.embedded and field.name == "TypeMeta" for field in struct.fields):
            kinds.append(name)
    referred = {text.lstrip("0123456789*?=[{") for fields in messages.values() for text in fields.values()}
    messages |= {name: {} for name in empty & referred}
    if lost := {name for name in referred if "/" in name and name not in messages}:
        raise SystemExit(f"no program contains the messages {sorted(lost)}")
    lines = ",\n".join(f"{json.dumps(name)}:{_compact(messages[name])}" for name in sorted(messages))
    groups = {group: package for package, group in sorted(GROUPS.items())}
    return f'{{"groups":{_compact(groups)},\n"kinds":{_compact(sorted(kinds))},\n"messages":{{\n{lines}\n}}}}\n'


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _fields(struct: GoType) -> dict[str, str]:
    """A message's fields by JSON name, in the order of their numbers."""
    numbered = []
    for field in struct.fields:
        tag = field.tags.get("protobuf", "-")
        if tag != "-":
            numbered.append((int(tag.split(",")[1]), *_field(field, tag)))
    return {name: f"{number}{text}" for number, name, text in sorted(numbered)}


def _field(field: GoField, tag: str) -> tuple[str, str]:
    name, _, options = field.tags.get("json", "").partition(",")
    optional = "?" if "omitempty" in options else ""
    if not name and field.embedded:
        return _go_name(field), f"={_type_name(field.type)}"
    if not name or name == "-":
        return _go_name(field), _shape(field.type, "")
    return name, _shape(field.type, optional)


def _go_name(field: GoField) -> str:
    """What JSON has no name for is called as in Go."""
    return field.name[0].lower() + field.name[1:]


def _shape(type_: GoType, optional: str) -> str:
    """What a field holds. Not the protobuf tag but the Go type tells what is repeated, as for Go's own generator."""
    if type_.kind == "pointer":
        return f"*{optional}{_type_name(type_.member)}"
    if type_.kind == "map":
        assert type_.key.kind == "string", "a map whose keys are no strings"
        return f"{optional}{{{_type_name(type_.member)}"
    if type_.kind == "slice" and _type_name(type_) == "":
        return f"{optional}[{_type_name(type_.member)}"
    return f"{optional}{_type_name(type_)}"


def _type_name(type_: GoType) -> str:
    if type_.kind == "pointer":
        return _type_name(type_.member)
    if type_.kind in _SCALARS:
        return _SCALARS[type_.kind]
    if type_.kind == "slice":
        return "bytes" if type_.member.kind == "uint8" else "Strings" if type_.name.endswith(_STRING_LISTS) else ""
    name = VALUES.get(type_.name) or message_name(type_.name)
    assert name, f"a field of type {type_}"
    return name
