"""application/vnd.kubernetes.protobuf: objects, lists and watch events in the form that Go clients prefer.

::

    body    = b"k8s\\0" Unknown                       what ``encode`` makes and ``decode`` reads
    Unknown = typeMeta (apiVersion, kind), raw        raw is the object's own message: ``message``
    list    = ListMeta, then every item's message     ``join`` makes one of messages that are kept
    watch   = length, WatchEvent (type, body)         ``frame``

The table of all messages (messages.json) is read when the first object is; a message's encoder or decoder is put
together when it is first used. Every failure is a ProtobufError.
"""

from podkeeper.api.protobuf.bodies import decode, encode, frame, join, message, wrap
from podkeeper.api.protobuf.table import is_kind
from podkeeper.api.protobuf.wire import ProtobufError

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"

__all__ = ["MEDIA_TYPE", "ProtobufError", "decode", "encode", "frame", "is_kind", "join", "message", "wrap"]
