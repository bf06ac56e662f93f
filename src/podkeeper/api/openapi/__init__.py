"""The OpenAPI documents, built from the catalogue and the schema: version 2 as one document, version 3 one per group.

Pure: the server decides when to build and what to keep. Descriptions are not carried.
"""

from podkeeper.api.openapi.v2 import document as v2_document
from podkeeper.api.openapi.v3 import document as v3_document
from podkeeper.api.openapi.v3 import index as v3_index
from podkeeper.api.openapi.v3 import path_of as v3_path_of

__all__ = ["v2_document", "v3_document", "v3_index", "v3_path_of"]
