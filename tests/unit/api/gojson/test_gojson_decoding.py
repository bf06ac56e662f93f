"""Decoding errors and complaints in the words, and the order, of Go's reader."""

from __future__ import annotations

import json

import pytest

from podkeeper.api import gojson, schema
from podkeeper.api.gojson import types

DEPLOYMENT, SERVICE = "apps/v1.Deployment", "core/v1.Service"


def judged(body: str, struct: str = DEPLOYMENT) -> gojson.Verdict:
    return gojson.judge(gojson.read(body.encode()), struct)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ('{"spec":{"replicas":"3"}}', "string into Go struct field DeploymentSpec.spec.replicas of type int32"),
        ('{"spec":{"replicas":3.5}}', "number 3.5 into Go struct field DeploymentSpec.spec.replicas of type int32"),
        ('{"spec":{"replicas":3e0}}', "number 3e0 into Go struct field DeploymentSpec.spec.replicas of type int32"),
        (
            '{"spec":{"replicas":3000000000}}',
            "number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        ('{"spec":[]}', "array into Go struct field Deployment.spec of type v1.DeploymentSpec"),
        ("[]", "array into Go value of type v1.Deployment"),
        ('{"metadata":{"labels":{"a":1}}}', "number into Go struct field ObjectMeta.metadata.labels of type string"),
        (
            '{"metadata":{"labels":[]}}',
            "array into Go struct field ObjectMeta.metadata.labels of type map[string]string",
        ),
        ('{"metadata":{"uid":{}}}', "object into Go struct field ObjectMeta.metadata.uid of type types.UID"),
        (
            '{"spec":{"template":{"spec":{"containers":{}}}}}',
            "object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container",
        ),
        (
            '{"spec":{"template":{"spec":{"restartPolicy":true}}}}',
            "bool into Go struct field PodSpec.spec.template.spec.restartPolicy of type v1.RestartPolicy",
        ),
        (
            '{"spec":{"template":{"spec":{"overhead":"x"}}}}',
            "string into Go struct field PodSpec.spec.template.spec.overhead of type v1.ResourceList",
        ),
        # The fields of an embedded struct are told with its name.
        (
            '{"spec":{"template":{"spec":{"volumes":[{"hostPath":"/"}]}}}}',
            "string into Go struct field Volume.spec.template.spec.volumes.VolumeSource.hostPath of type "
            "v1.HostPathVolumeSource",
        ),
        # The first one in the document counts, whatever Go's order of fields.
        ('{"spec":{"paused":1,"replicas":"x"}}', "number into Go struct field DeploymentSpec.spec.paused of type bool"),
        (
            '{"spec":{"replicas":"x","paused":1}}',
            "string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        # A time reads its JSON itself, so its error ends decoding and is told before earlier ones.
        (
            '{"spec":{"replicas":"x"},"metadata":{"creationTimestamp":5}}',
            "number into Go struct field ObjectMeta.metadata.creationTimestamp of type string",
        ),
    ],
)
def test_values_of_a_wrong_type(body: str, error: str) -> None:
    assert judged(body) == gojson.Verdict(f"json: cannot unmarshal {error}")


@pytest.mark.parametrize(
    ("body", "struct", "error"),
    [
        (
            '{"spec":{"capacity":{"storage":"much"}}}',
            "core/v1.PersistentVolume",
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        ('{"spec":{"capacity":{"storage":"1kk"}}}', "core/v1.PersistentVolume", "unable to parse quantity's suffix"),
        ('{"data":{"a":"!!!!"}}', "core/v1.Secret", "illegal base64 data at input byte 0"),
        ('{"data":{"a":"abc"}}', "core/v1.Secret", "illegal base64 data at input byte 0"),
        ('{"data":{"a":"abcdab=c"}}', "core/v1.Secret", "illegal base64 data at input byte 6"),
        ('{"data":{"a":"abcdab="}}', "core/v1.Secret", "illegal base64 data at input byte 7"),
        ('{"data":{"a":"ab==\\nx"}}', "core/v1.Secret", "illegal base64 data at input byte 5"),
        ('{"data":{"a":"ab\\ncd\\nef"}}', "core/v1.Secret", "illegal base64 data at input byte 6"),
        ('{"data":{"a":"a==="}}', "core/v1.Secret", "illegal base64 data at input byte 1"),
        (
            '{"spec":{"ports":[{"targetPort":true}]}}',
            SERVICE,
            "json: cannot unmarshal bool into Go struct field ServicePort.spec.ports.targetPort of type int32",
        ),
        (
            '{"spec":{"ports":[{"targetPort":1.5}]}}',
            SERVICE,
            "json: cannot unmarshal number 1.5 into Go struct field ServicePort.spec.ports.targetPort of type int32",
        ),
        (
            '{"spec":{"versions":[{"schema":{"openAPIV3Schema":{"properties":{"a":{"items":{"type":3}}}}}}]}}',
            "apiextensions/v1.CustomResourceDefinition",
            "json: cannot unmarshal number into Go struct field "
            "JSONSchemaProps.spec.versions.schema.openAPIV3Schema.properties.items of type string",
        ),
        (
            '{"spec":{"versions":[{"schema":{"openAPIV3Schema":{"additionalProperties":"all"}}}]}}',
            "apiextensions/v1.CustomResourceDefinition",
            "boolean or JSON schema expected",
        ),
    ],
)
def test_types_that_read_their_json_themselves(body: str, struct: str, error: str) -> None:
    assert judged(body, struct) == gojson.Verdict(error)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("yesterday", 'cannot parse "yesterday" as "2006"'),
        ("2024", 'cannot parse "" as "-"'),
        ("2024-1-01T00:00:00Z", 'cannot parse "1-01T00:00:00Z" as "01"'),
        ("2024-01-01 00:00:00Z", 'cannot parse " 00:00:00Z" as "T"'),
        ("2024-01-01T00:00:00", 'cannot parse "" as "Z07:00"'),
        ("2024-01-01T00:00:00é", r'cannot parse "\xc3\xa9" as "Z07:00"'),
    ],
)
def test_times_that_cannot_be_parsed(text: str, rest: str) -> None:
    shown = text.replace("é", r"\xc3\xa9")
    body = json.dumps({"metadata": {"creationTimestamp": text}})
    assert judged(body).error == f'parsing time "{shown}" as "2006-01-02T15:04:05Z07:00": {rest}'


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("2024-13-01T00:00:00Z", "month out of range"),
        ("2024-02-30T00:00:00Z", "day out of range"),
        ("2023-02-29T00:00:00Z", "day out of range"),
        ("2024-01-01T24:00:00Z", "hour out of range"),
        ("2024-01-01T00:00:61Z", "second out of range"),
        ("2024-01-01T00:00:00Zulu", 'extra text: "ulu"'),
        ("2024-01-01T00:00:00+25:00", "time zone offset hour out of range"),
    ],
)
def test_times_out_of_range(text: str, rest: str) -> None:
    body = json.dumps({"metadata": {"creationTimestamp": text}})
    assert judged(body).error == f'parsing time "{text}": {rest}'


@pytest.mark.parametrize("text", ["2024-02-29T23:59:59Z", "2024-01-01T00:00:00.5+01:00", "2024-01-01T0:00:00Z"])
def test_times(text: str) -> None:
    assert judged(json.dumps({"metadata": {"creationTimestamp": text}})).error == ""


def test_a_micro_time_has_six_digits_of_a_second() -> None:
    lease = '{"spec":{"renewTime":"2024-01-01T00:00:00%sZ"}}'
    assert judged(lease % ".000001", "coordination/v1.Lease").error == ""
    assert judged(lease % "", "coordination/v1.Lease").error == (
        'parsing time "2024-01-01T00:00:00Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000"'
    )


def test_complaints_come_in_the_documents_order_and_once() -> None:
    body = """{"a":1,"metadata":{"name":"x","name":"y","labels":{"k":"1","k":"2"}},"spec":{"b":{"c":1,"c":2},
        "template":{"spec":{"containers":[{"name":"x"},{"d":1,"d":2}]}}},"a":2}"""
    assert judged(body).strict == (
        'unknown field "a"',
        'duplicate field "metadata.name"',
        'duplicate field "metadata.labels.k"',
        'unknown field "spec.b"',
        'unknown field "spec.template.spec.containers[1].d"',
    )


def test_an_error_is_told_without_the_complaints() -> None:
    assert judged('{"a":1,"spec":4}').strict == ()


def test_at_most_a_hundred_complaints() -> None:
    body = json.dumps({f"field{number}": 1 for number in range(150)})
    assert len(judged(body).strict) == 100


def test_documents_without_a_schema() -> None:
    assert gojson.judge_free(gojson.read(b'{"a":{"b":1,"b":[{"c":1,"c":2}]}}')).strict == (
        'duplicate field "a.b"',
        'duplicate field "a.b[0].c"',
    )
    assert gojson.judge_free([]).error == ("json: cannot unmarshal array into Go value of type map[string]interface {}")


def test_every_published_type_is_known_with_its_fields() -> None:
    for name in schema.names():
        published = schema.named(name)
        if published.properties and name != "meta/v1.VersionInfo":
            assert set(types.fields(name)) == set(published.properties), name


@pytest.mark.parametrize(
    ("tree", "why"),
    [
        ({"spec": {"replicas": "three"}}, "unrecognized type: int32"),
        ({"spec": {"replicas": 1.5}}, "cannot convert float64 to int32"),
        ({"metadata": {"name": 5}}, "cannot convert int64 to string"),
        ({"metadata": {"uid": 5}}, "cannot convert int64 to types.UID"),
        ({"metadata": {"name": True}}, "unrecognized type: string"),
        ({"metadata": {"labels": "x"}}, "cannot restore map from string"),
        ({"spec": {"template": {"spec": {"containers": {}}}}}, "cannot restore slice from map"),
        ({"spec": [1]}, "cannot restore struct from: slice"),
        ({"metadata": {"creationTimestamp": 5}}, "json: cannot unmarshal number into Go value of type string"),
        # Go's order of fields counts here, not the tree's.
        ({"spec": {"paused": "x", "replicas": []}}, "unrecognized type: int32"),
        ({"spec": {"replicas": 2.0}}, ""),
    ],
)
def test_trees_that_do_not_convert(tree: object, why: str) -> None:
    assert gojson.misfit(tree, DEPLOYMENT) == why


def test_values_as_go_prints_them() -> None:
    tree = {"b": [1, 2.5, "x", None, True], "a": {"z": {}, "y": []}, "c": 1e21, "d": 1e-7, "e": 3.0}
    assert gojson.printed(tree) == "map[a:map[y:[] z:map[]] b:[1 2.5 x <nil> true] c:1e+21 d:1e-07 e:3]"
