"""The OpenAPI documents, built from the catalogue and the schema: version 2 as one document, version 3 one per group.

Pure: the server decides when to build and what to keep.
"""

import hashlib

from podkeeper.api import schema
from podkeeper.api.openapi import descriptions
from podkeeper.api.openapi.schemas import Tree
from podkeeper.api.openapi.v2 import document as v2_document
from podkeeper.api.openapi.v3 import document as v3_document
from podkeeper.api.openapi.v3 import documents as v3_documents
from podkeeper.api.openapi.v3 import index as v3_index

__all__ = ["Tree", "fingerprint", "v2_document", "v3_document", "v3_documents", "v3_index"]


def fingerprint() -> str:
    """Changes when the facts that documents are built from change, beside the resources themselves."""
    digest = hashlib.sha256(schema.source())
    for name, content in descriptions.sources():
        digest.update(name.encode() + content)
    return digest.hexdigest()
